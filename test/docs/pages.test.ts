/** What the documents say can be said of the repository: links lead somewhere, commands and options exist, numbers stand. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generated } from '../../docs/make/generated.ts';
import { anchorsOf, type Block, blocksOf, commandsOf, localLinks } from './markdown.ts';
import { bilingual, pages, read, root } from './pages.ts';

describe('is made of the code, today', () => {
  it.each(generated.map(({ file, make }) => [file.pathname.split('/docs/')[1]!, file, make] as const))(
    '%s',
    async (_, file, make) => {
      const text = readFileSync(file, 'utf8');
      // Where this fails, `npm run docs` writes it.
      expect(await make(text)).toBe(text);
    },
  );
});

describe('links lead somewhere', () => {
  it.each(pages)('%s', (page) => {
    const broken = localLinks(read(page)).filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? new URL(page, root) : new URL(decodeURI(path), new URL(page, root));
      if (!existsSync(target)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).includes(decodeURI(anchor));
    });
    expect(broken).toEqual([]);
  });
});

it.each(bilingual)('%s and %s: the same code, and as many sections, rows and bullets', (english, chinese) => {
  const [one, other] = [read(english), read(chinese)];
  expect(blocksOf(other)).toEqual(blocksOf(one));
  for (const shape of [/^#+ /gm, /^\| /gm, /^- /gm, /^\d\. /gm]) {
    expect(other.match(shape)?.length).toBe(one.match(shape)?.length);
  }
});

/** The tests that a block's comment says run it, outside of docs/, whose own commands.test.ts runs its `sh run`. */
const testsOf = (above = '') => /^run by: (.+)$/.exec(above)?.[1]?.split(', ') ?? [];

it('every command is run, by a test that is there, or says why it is not', () => {
  const silent = pages
    .flatMap((page) => blocksOf(read(page)).map((block) => ({ page, ...block })))
    .filter(({ page, language, flags, above }) => {
      if (language !== 'sh' || above?.startsWith('not run: ')) return false;
      if (page.startsWith('docs/')) return !flags.includes('run');
      const tests = testsOf(above);
      return tests.length === 0 || !tests.every((test) => existsSync(new URL(test, root)));
    });
  expect(silent).toEqual([]);
});

it('no command hides in an indented block, which nothing here would look at', () => {
  const hidden = pages.filter((page) =>
    /^ {4}\S*(npx|npm|curl) /m.test(read(page).replace(/^```.*?^```/gms, '')),
  );
  expect(hidden).toEqual([]);
});

const scripts = (manifest: string) => Object.keys(JSON.parse(read(manifest)).scripts);
const workspaces: Record<string, string> = { huozi: 'sdk', 'gpu-backend': 'gpu-backend' };
interface Program {
  help: string;
}

const programs: Record<string, (command: string) => Promise<Program>> = {
  huozi: (command) => import(`../../sdk/src/cli/${command}.ts`),
  'huozi-gpu-backend': async (command) => {
    const name = command.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    return (await import(`../../gpu-backend/src/commands/${command}.ts`))[name];
  },
};
/** What others made, and what of it is used; none of it is ours to test. */
const foreign: Record<string, RegExp> = {
  cd: /./,
  curl: /./,
  printf: /./,
  node: /^-p /,
  grep: /./,
  rm: /./,
  cat: /./,
  tr: /./,
  git: /^pull/,
  openssl: /^rand -hex 32/,
  cloudflared: /^tunnel (login|create|route dns|run)/,
  python3: /./,
  // Of gpu-backend/examples/vllm, to which the page links.
  'rank.sh': /./,
};

/** Undefined where the command can be typed as it stands there. */
async function problemOf(words: string[]): Promise<string | undefined> {
  const said = words.join(' ');
  const [first = '', ...rest] = words;
  if (first === 'npm') return npmProblem(rest) && `${said}: ${npmProblem(rest)}`;
  if (first === 'npx') {
    const [program = '', command = '', ...options] = rest;
    if (program === 'wrangler') {
      const isKnown = /^(login|secret put [A-Z_]+|rollback)/.test([command, ...options].join(' '));
      return isKnown ? undefined : `${said}: not checked`;
    }
    if (program === 'vitest') return undefined;
    const help = (await programs[program]?.(command).catch(() => undefined))?.help;
    if (!help) return `${said}: no such program`;
    const unknown = options
      .filter((option) => option.startsWith('-'))
      .map((option) => option.split('=')[0]!)
      .filter((option) => !new RegExp(`(^|[\\s\\[|(,])${option}\\b`, 'm').test(help) && option !== '--json');
    return unknown.length > 0 ? `${said}: no ${unknown.join(', ')}` : undefined;
  }
  if (/^\.?\/?(\.ci|test)\//.test(first))
    return existsSync(new URL(first, root)) ? undefined : `${said}: missing`;
  return foreign[first]?.test(rest.join(' ')) ? undefined : `${said}: not known`;
}

function npmProblem([verb = '', ...rest]: string[]): string | undefined {
  if (['ci', 'install', 'start', 'test'].includes(verb)) return undefined;
  if (verb !== 'run') return 'not known';
  const name = rest.find((word) => !word.startsWith('-')) ?? '';
  const at = rest.indexOf('-w');
  const workspace = at < 0 ? undefined : workspaces[rest[at + 1] ?? ''];
  if (at >= 0 && !workspace) return 'no such workspace';
  const manifest = workspace ? `${workspace}/package.json` : 'package.json';
  return scripts(manifest).includes(name) ? undefined : `no script ${name} in ${manifest}`;
}

const isShell = ({ language }: Block) => language === 'sh';

describe('programs, scripts and options exist', () => {
  it.each(pages)(
    '%s',
    async (page) => {
      const text = read(page);
      const inline = [...text.matchAll(/`((?:npm run|npx) [^`]+)`/g)].map(([, code]) =>
        code!.replace(/\[.*\]/, ''),
      );
      const commands = [
        ...blocksOf(text)
          .filter(isShell)
          .map(({ code }) => code),
        ...inline,
      ].flatMap(commandsOf);
      expect((await Promise.all(commands.map(problemOf))).filter(Boolean)).toEqual([]);
    },
    60_000,
  );
});

it('docs/limits.md: each number stands in the code that it links to', () => {
  const rows = [...read('docs/limits.md').matchAll(/\| `([^|]+)` in \[`[^`]+`\]\(([^)]+)\) \|$/gm)];
  expect(rows.length).toBeGreaterThan(15);
  const missing = rows.filter(([, literal, file]) => {
    const text = readFileSync(new URL(file!, new URL('docs/limits.md', root)), 'utf8');
    return !text.includes(literal!);
  });
  expect(missing.map(([row]) => row)).toEqual([]);
});
