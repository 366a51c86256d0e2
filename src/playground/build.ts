/**
 * `npm run build:playground`: src/playground → dist/playground, which wrangler.toml names as the worker's assets.
 * Names carry their content's hash, so that browsers may keep them for ever; index.html comes last, whole at once,
 * so that a worker that starts meanwhile never sees a page whose script is missing.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const source = fileURLToPath(new URL('.', import.meta.url));
const output = fileURLToPath(new URL('../../dist/playground/', import.meta.url));

/** One file of the page, as it is served. */
export interface BuiltFile {
  /** From the page's root, as `assets/main-ABCD1234.js`. */
  path: string;
  contents: Uint8Array;
}

/** Throws esbuild's error, which says where, if the sources do not build. */
export async function bundlePlayground(): Promise<BuiltFile[]> {
  const { outputFiles } = await build({
    entryPoints: [join(source, 'main.tsx'), join(source, 'icon.svg')],
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['es2022', 'chrome111', 'firefox115', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    conditions: ['huozi-source', 'browser'],
    loader: { '.svg': 'copy' },
    entryNames: 'assets/[name]-[hash]',
    outdir: output,
    publicPath: '/',
    write: false,
    logLevel: 'silent',
    legalComments: 'none',
  });
  const files = outputFiles.map(({ path, contents }) => ({ path: path.slice(output.length), contents }));
  const named = (ending: string) => `/${files.find(({ path }) => path.endsWith(ending))!.path}`;
  const page = (await readFile(join(source, 'index.html'), 'utf8'))
    .replace('main.tsx', named('.js'))
    .replace('style.css', named('.css'))
    .replace('icon.svg', named('.svg'));
  return [...files, { path: 'index.html', contents: new TextEncoder().encode(page) }];
}

let built: Promise<string> | undefined;

/** Builds once in this process. @returns the folder */
export function buildPlayground(): Promise<string> {
  built ??= write();
  return built;
}

async function write(): Promise<string> {
  const files = await bundlePlayground();
  const assets = join(output, 'assets');
  await mkdir(assets, { recursive: true });
  for (const { path, contents } of files) {
    // Another process may be reading: a file comes whole or not at all.
    const part = join(output, `${path}.${process.pid}.part`);
    await writeFile(part, contents);
    await rename(part, join(output, path));
  }
  const kept = new Set(files.map(({ path }) => basename(path)));
  for (const name of await readdir(assets)) {
    if (!kept.has(name) && !name.endsWith('.part')) await rm(join(assets, name), { force: true });
  }
  return output;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPlayground();
