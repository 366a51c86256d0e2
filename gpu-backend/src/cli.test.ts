/** The command line as a process of its own: what it prints, how it ends. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { generateBody, send, token } from './server/testing/client.ts';

const cli = fileURLToPath(new URL('./cli.ts', import.meta.url));

function start(args: string[], env: NodeJS.ProcessEnv = { HUOZI_NODE_TOKEN: token }) {
  const child = spawn(process.execPath, ['--conditions=huozi-source', '--import', 'tsx', cli, ...args], {
    env: { PATH: process.env.PATH, ...env },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const exit = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>;
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  return { child, output, exit };
}

async function run(args: string[], env?: NodeJS.ProcessEnv) {
  const { child, output, exit } = start(args, env);
  const [[code]] = await Promise.all([exit, once(child, 'close')]);
  return { code, ...output };
}

async function untilReady(child: ChildProcessWithoutNullStreams, output: { stdout: string; stderr: string }) {
  while (!output.stdout.includes('\n')) {
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => {
        throw new Error(output.stderr);
      }),
    ]);
  }
  return /^ready (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(output.stdout)![1]!;
}

const serve = ['serve', '--port', '0', '--threads', '1', '--slots', '2'];
/** Hot enough that text keeps coming, whatever the model knows: markers have none, and no event of their own. */
const long = (max_tokens: number) => {
  const { sampling, ...body } = generateBody({ max_tokens, ignore_eos: true });
  return { ...body, sampling: { ...sampling, temperature: 2 } };
};

test('help and version', async () => {
  expect(await run(['--help'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Usage: huozi-gpu-backend.*\n {2}serve /s),
    stderr: '',
  });
  expect(await run(['serve', '--help'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('--gpu-layers'),
    stderr: '',
  });
  expect(await run(['--version'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});

test('a wrong command line is exit code 2 and one line that names the mistake', async () => {
  const cases: [args: string[], message: RegExp, env?: NodeJS.ProcessEnv][] = [
    [[], /no command/],
    [['toString'], /unknown command "toString"/],
    [['serve', '--moddel', 'x'], /--moddel/],
    [['serve'], /HUOZI_NODE_TOKEN/, {}],
  ];
  for (const [args, message, env] of cases) {
    const { code, stdout, stderr } = await run(args, env);
    expect({ code, stdout, lines: stderr.split('\n').length }, args.join(' ')).toEqual({
      code: 2,
      stdout: '',
      lines: 2,
    });
    expect(stderr).toMatch(message);
  }
}, 60_000);

test('what keeps a node from starting is exit code 1 and one line', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'huozi-cli-'));
  const damaged = join(folder, 'damaged.gguf');
  await writeFile(damaged, 'GGUF but not really');
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const quiet = ['serve', '--log-level', 'silent', '--threads', '1'];
  const cases: [args: string[], message: RegExp][] = [
    [[...quiet, '--port', '0', '--model', join(folder, 'none.gguf')], /none\.gguf/],
    [[...quiet, '--port', '0', '--model', damaged], /damaged\.gguf/],
    [[...quiet, '--port', String(port)], new RegExp(`127\\.0\\.0\\.1:${port} is in use`)],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout, lines: stderr.split('\n').length }, args.join(' ')).toEqual({
      code: 1,
      stdout: '',
      lines: 2,
    });
    expect(stderr).toMatch(message);
  }
}, 60_000);

test('serves until SIGTERM, then lets the running answer end, and exits 0; content is never logged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'huozi-cli-'));
  const file = join(folder, 'token');
  await writeFile(file, `${token}\n`);
  const { child, output, exit } = start([...serve, '--token-file', file], {});
  const url = await untilReady(child, output);
  const answer = (await send(url, '/v1/generate', long(500))).read();
  await answer.until(': ids ', 3);
  child.kill('SIGTERM');
  await answer.ended;
  expect(answer.text).toContain('"finish_reason":"length"');
  expect(answer.text).toContain('data: [DONE]');
  expect(await exit).toEqual([0, null]);

  const log = output.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(log.map(({ msg }) => msg)).toContain('generation ended');
  expect(output.stderr).not.toContain('你好');
  expect(output.stderr).not.toContain(token);
  expect(output.stdout).toBe(`ready ${url}\n`);
}, 60_000);

test('past --drain-timeout the rest is cancelled, still with exit 0', async () => {
  const { child, output, exit } = start([...serve, '--drain-timeout', '0']);
  const url = await untilReady(child, output);
  const answer = (await send(url, '/v1/generate', long(4000))).read();
  await answer.until(': ids ', 3);
  child.kill('SIGINT');
  expect(await answer.ended).toBe(true);
  expect(answer.text).toContain('"code":"node_draining"');
  expect(await exit).toEqual([0, null]);
}, 60_000);

test('a second signal ends it at once', async () => {
  const { child, output, exit } = start(serve);
  const url = await untilReady(child, output);
  const answer = (await send(url, '/v1/generate', long(4000))).read();
  await answer.until(': ids ', 3);
  child.kill('SIGTERM');
  while (!output.stderr.includes('"draining"')) await once(child.stderr, 'data');
  child.kill('SIGTERM');
  expect(await exit).toEqual([143, null]);
  expect(await answer.ended).toBe(false);
}, 60_000);
