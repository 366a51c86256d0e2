/**
 * The commands in docs/ that are marked `run`, as a person would type them, page by page: one shell a page, before a
 * real edge and node. `npx` gives the programs of this checkout.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { huozi, writeSynthetic } from '../../gpu-backend/src/gguf/testing/synthetic.ts';
import { type Stack, startStack } from '../stack.ts';
import { blocksOf } from './markdown.ts';
import { pages, read, root } from './pages.ts';

const checkout = fileURLToPath(root);
const isRun = ({ flags }: { flags: string[] }) => flags.includes('run');
/** Translations show the same code, which pages.test.ts compares. */
const toRun = pages.filter((page) => !page.startsWith('docs/zh/') && blocksOf(read(page)).some(isRun));

let stack: Stack;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'huozi-docs-'));
  await buildPrograms(folder);
  for (const fileType of ['Q2_K', 'Q4_K_M', 'Q8_0'] as const) {
    writeSynthetic(join(folder, `huozi3.5-${fileType}.gguf`), { shape: huozi, fileType });
  }
  stack = await startStack();
});
afterAll(async () => {
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** `npx` with the two programs, each bundled into files as deep as they are in their packages: they start in no time. */
async function buildPrograms(folder: string): Promise<void> {
  const built = {
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  } as const;
  for (const [name, entry] of [
    ['sdk', 'cli/main'],
    ['gpu-backend', 'cli'],
  ] as const) {
    await build({
      ...built,
      entryPoints: { [entry]: join(checkout, name, 'src', `${entry}.ts`) },
      outdir: join(folder, name, 'dist'),
      conditions: ['huozi-source'],
      logLevel: 'error',
    });
    copyFileSync(join(checkout, name, 'package.json'), join(folder, name, 'package.json'));
  }
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'bin'));
  const npx = `#!/bin/sh
program=$1; shift
case $program in
  huozi) exec '${process.execPath}' '${join(folder, 'sdk/dist/cli/main.js')}' "$@";;
  huozi-gpu-backend) exec '${process.execPath}' '${join(folder, 'gpu-backend/dist/cli.js')}' "$@";;
  *) echo "npx $program is not run here" >&2; exit 1;;
esac
`;
  writeFileSync(join(folder, 'bin/npx'), npx);
  chmodSync(join(folder, 'bin/npx'), 0o755);
}

const separator = '\u001e';

it.each(toRun)(
  '%s',
  async (page) => {
    const blocks = blocksOf(read(page)).filter(isRun);
    const script = blocks.map(({ code }) => `${code}printf '${separator}'\n`).join('');
    const shell = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: folder,
      env: {
        ...process.env,
        PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
        HOME: folder,
        HUOZI_BASE_URL: stack.baseURL,
        HUOZI_API_KEY: stack.apiKey,
        HUOZI_ADMIN_TOKEN: stack.adminToken,
        HUOZI_NODE_TOKEN: stack.nodeToken,
        NODE_URL: stack.node.url,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(shell, 'exit');
    const [output, errors] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
    const [status] = await exited;
    const printed = output.split(separator);
    const failedAt = blocks[printed.length - 1]?.code ?? '';
    expect(status, `${failedAt}${errors}`).toBe(0);
    for (const [at, { prints, code }] of blocks.entries()) {
      if (prints) expect(printed[at], code).toContain(prints);
    }
    // What stands below a command as its output is its output.
    const following = [...read(page).matchAll(/^```sh run\n(.*?)^```\n\n```text\n(.*?)^```/gms)];
    for (const [, code, shown] of following) {
      expect(printed[blocks.findIndex((block) => block.code === code)]).toBe(shown);
    }
  },
  120_000,
);
