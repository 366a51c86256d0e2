/** The package as a stranger gets it: its size, its lint, and the tarball in an empty project. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { events, text } from './answers.ts';
import { openaiSize, ourSize } from './bundle-size.ts';
import { hostileServer } from './hostile-server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const bin = (name: string) => join(root, 'node_modules/.bin', name);

let project: string;
let tarball: string;

/** Packs into the project; the tarball's name. */
async function pack(folder: string, ...flags: string[]): Promise<string> {
  const args = ['pack', join(root, folder), '--pack-destination', project, '--json', ...flags];
  // npm 11 lets the build's own output stand before the JSON.
  const { stdout } = await run('npm', args, { cwd: project });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  return join(project, filename);
}

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'huozi-package-'));
  tarball = await pack('sdk');
  const parser = await pack('node_modules/eventsource-parser', '--ignore-scripts');
  await writeFile(join(project, 'package.json'), '{"name":"empty","private":true,"type":"module"}');
  // Offline: both tarballs are here, and the parser's version is the one that the package asks for.
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', parser, tarball], { cwd: project });
}, 120_000);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

test('streaming chat is at most 6 KB minified and gzipped, and a sixth of openai’s client', async () => {
  const [ours, openai] = await Promise.all([ourSize(), openaiSize()]);
  process.stdout.write(`bundle, minified and gzipped: huozi ${ours} B, openai 6.49 ${openai} B\n`);
  expect(ours).toBeLessThanOrEqual(6000);
  expect(ours).toBeLessThanOrEqual(openai / 6);
});

/** What an entry point imports from outside of the package, directly and through its own modules. */
async function imports(entry: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [join(project, 'node_modules/huozi/dist', entry)],
    bundle: true,
    packages: 'external',
    platform: 'neutral',
    format: 'esm',
    write: false,
    metafile: true,
    outdir: project,
  });
  const [output] = Object.values(metafile.outputs);
  return [...new Set(output!.imports.map(({ path }) => path))].sort();
}

test('has one dependency; what another entry point needs of a host stays there', async () => {
  const { dependencies, exports } = JSON.parse(await readFile(join(root, 'sdk/package.json'), 'utf8'));
  expect(Object.keys(dependencies)).toEqual(['eventsource-parser']);
  const parser = ['eventsource-parser'];
  const needs: Record<string, string[]> = {
    '.': parser,
    './all': parser,
    './responses': parser,
    './structured': [],
    './tools': [],
    './streams': parser,
    './conversation': [],
    './ai-sdk': [],
    './react': [...parser, 'react'],
    './node': [...parser, 'node:fs/promises', 'node:process'],
  };
  const found: Record<string, string[]> = {};
  for (const [name, { default: file }] of Object.entries<{ default: string }>(exports)) {
    found[name] = await imports(file.replace('./dist/', ''));
  }
  expect(found).toEqual(needs);
});

test('publint and attw find nothing', async () => {
  const lint = await run(bin('publint'), [tarball, '--strict']);
  expect(lint.stdout).toContain('All good!');
  // It is ESM only, and says so: `require` is not among what is promised. A problem is also an exit code.
  const types = await run(bin('attw'), [tarball, '--profile', 'esm-only', '--no-color']);
  const { exports } = JSON.parse(await readFile(join(root, 'sdk/package.json'), 'utf8'));
  const green = types.stdout.match(/│ "huozi[\w/-]*" *│ 🟢[^│]*│ 🟢/g);
  expect(green).toHaveLength(Object.keys(exports).length);
}, 120_000);

test('the tarball works in an empty project', async () => {
  const server = await hostileServer(async ({ begin, response }) => {
    begin();
    response.end(events.join(''));
  });
  const program = `
    import { Huozi, HuoziError } from 'huozi';
    const huozi = new Huozi({ baseURL: '${server.baseURL}', apiKey: 'k' });
    const stream = await huozi.chat.completions.create({ model: 'huozi', messages: [], stream: true });
    for await (const text of stream.textStream) process.stdout.write(text);
    if (!HuoziError.isInstance(new HuoziError('m'))) process.exit(1);
  `;
  await writeFile(join(project, 'program.js'), program);
  const { stdout } = await run(process.execPath, ['program.js'], { cwd: project });
  expect(stdout).toBe(text);
  await server.close();
});

test('the terminal of the tarball runs', async () => {
  const huozi = join(project, 'node_modules/.bin/huozi');
  const { version } = JSON.parse(await readFile(join(root, 'sdk/package.json'), 'utf8'));
  expect((await run(huozi, ['--version'])).stdout).toBe(`${version}\n`);
  expect((await run(huozi, ['batch', '--help'])).stdout).toContain('huozi batch IN.jsonl OUT.jsonl');
  const asking = run(huozi, ['ask', '--base-url', 'http://127.0.0.1:9/v1', '你好'], {
    env: { PATH: process.env.PATH },
  });
  // What is piped in belongs to the question, so it reads to the end.
  asking.child.stdin!.end();
  await expect(asking).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('HUOZI_API_KEY') });
}, 120_000);

test.each([
  ['bundler', 'ESNext', ['ES2022', 'DOM', 'DOM.Iterable']],
  ['nodenext', 'NodeNext', ['ES2022', 'DOM']],
])(
  'its types work with moduleResolution %s',
  async (moduleResolution, module, lib) => {
    const program = `
    import { Huozi, RateLimitError, type ChatCompletionChunk, type ChatStream } from 'huozi';
    import { Huozi as Whole } from 'huozi/all';
    import { Conversation } from 'huozi/conversation';
    import { keyFromEnv } from 'huozi/node';
    import { parse, type StandardSchema } from 'huozi/structured';
    import { runTools, tool } from 'huozi/tools';
    const huozi = new Huozi({ baseURL: '/v1', apiKey: async () => 'k', deadlines: { idle: 1000 } });
    const stream: ChatStream = await huozi.chat.completions.create(
      { model: 'huozi', messages: [{ role: '用户', content: '你好' }], top_k: 5, stream: true },
      { signal: AbortSignal.timeout(1000) },
    );
    for await (const chunk of stream) { const one: ChatCompletionChunk = chunk; one.choices; }
    const text: string | null = (await stream.finalMessage()).content;
    const whole = await huozi.chat.completions.create({ model: 'huozi', messages: [] });
    const error: unknown = [text, whole.choices[0]?.message.content, whole._request_id];
    if (RateLimitError.isInstance(error)) error.retryAfter?.toFixed();
    const schema = {} as StandardSchema<unknown, { n: number }>;
    const n: number = (await parse(huozi, { model: 'huozi', messages: [] }, schema)).value.n;
    const add = tool({ parameters: schema, run: ({ n: given }) => given.toFixed(n) });
    const said: string = (await runTools(huozi, { model: 'huozi', messages: [] }, { add })).text;
    const full = new Whole({ baseURL: '/v1', apiKey: keyFromEnv() });
    (await full.responses.create({ model: 'huozi', input: said })).output_text.trim();
    new Conversation(full, { model: 'huozi', contextTokens: 4096 }).branch();
    // @ts-expect-error no such field
    await huozi.chat.completions.create({ model: 'huozi', messages: [], topk: 5 });
    export {};
  `;
    await writeFile(join(project, 'program.ts'), program);
    const compilerOptions = {
      module,
      moduleResolution,
      lib,
      target: 'ES2022',
      strict: true,
      noEmit: true,
      types: [],
    };
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['program.ts'] }),
    );
    const { stdout } = await run(bin('tsc'), ['-p', project]).catch((error) => error);
    expect(stdout).toBe('');
  },
  120_000,
);
