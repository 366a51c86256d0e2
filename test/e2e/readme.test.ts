/** What the READMEs show is true: the SDK lines and the curl run, and both languages show the same. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../stack.ts';

const root = new URL('../../', import.meta.url);
const english = readFileSync(new URL('README.md', root), 'utf8');
const chinese = readFileSync(new URL('README.zh-CN.md', root), 'utf8');

function codeBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(
    ([, language, code]) => `${language}\n${code}`,
  );
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

it('both languages show the same code and as many sections, rows and bullets', () => {
  expect(codeBlocks(chinese)).toEqual(codeBlocks(english));
  for (const shape of [/^## /gm, /^\| /gm, /^- /gm]) {
    expect(chinese.match(shape)?.length).toBe(english.match(shape)?.length);
  }
});

it('the SDK lines stream a poem', async () => {
  const typescript = codeBlocks(english)
    .find((block) => block.startsWith('ts\n'))!
    .slice(3);
  const { code } = await transform(typescript.replace('http://127.0.0.1:8787/v1', stack.baseURL), {
    loader: 'ts',
  });
  // Not the synchronous one: meanwhile nobody would notice that the edge closes idle connections.
  const ran = await promisify(execFile)(
    process.execPath,
    ['--conditions=huozi-source', '--import', 'tsx', '--input-type=module', '--eval', code],
    {
      cwd: fileURLToPath(root),
      env: { ...process.env, HUOZI_API_KEY: stack.apiKey },
    },
  );
  expect(ran.stderr).toBe('');
  expect(ran.stdout).toContain('床前明月光');
});

it('the curl line streams a poem', async () => {
  const curl = codeBlocks(english).find((block) => block.includes('curl -N'))!;
  const body = /-d '(.+)'/.exec(curl)![1]!;
  const response = await fetch(`${stack.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' },
    body,
  });
  const text = [...(await response.text()).matchAll(/"content":"([^"]*)"/g)]
    .map(([, piece]) => piece)
    .join('');
  expect(text).toContain('床前明月光');
});
