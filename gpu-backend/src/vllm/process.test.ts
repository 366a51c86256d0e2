/** `vllm serve` as a child, with a program that stands for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, afterEach, expect, it } from 'vitest';
import { start, tinyModel } from '../engine/testing/generate.ts';
import type { Engine } from '../engine/types.ts';
import { startVllmEngine } from './engine.ts';
import { VllmProcess } from './process.ts';

const log = pino({ level: 'silent' });
const fake = fileURLToPath(new URL('./testing/fake-vllm.mjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'huozi-vllm-test-'));
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  delete process.env.FAKE_VLLM;
  delete process.env.FAKE_VLLM_ARGS;
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const options = (name: string) => ({
  command: [process.execPath, fake],
  logFile: join(directory, `${name}.log`),
  restartDelayMs: 1,
  maxRestartDelayMs: 20,
});

async function startProcess(name: string): Promise<VllmProcess> {
  const vllm = await VllmProcess.start({ ...options(name), model: 'm', args: [], log });
  closers.push(() => vllm.close());
  return vllm;
}

const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('is started with the flags, answers, and ends with the node; its output is kept', async () => {
  process.env.FAKE_VLLM_ARGS = join(directory, 'args');
  const engine = await startVllmEngine({
    ...{ modelPath: tinyModel, log, slots: 7, maxSequence: 512 },
    start: { ...options('flags'), args: ['--tensor-parallel-size', '2', '--dtype', 'float32'] },
  });
  closers.push(() => engine.close());
  expect(engine.info.maxSequence).toBe(512);
  const answer = await start(engine as unknown as Engine, { promptIds: Int32Array.of(1, 100) }).answer;
  expect(answer).toMatchObject({ reason: 'stop', ids: [engine.info.tokens.end] });
  await engine.close();
  const args = JSON.parse(readFileSync(join(directory, 'args'), 'utf8').trim());
  expect(args.slice(0, 2)).toEqual(['serve', tinyModel]);
  for (const pair of [
    ['--max-num-seqs', '7'],
    ['--max-model-len', '512'],
    ['--scheduling-policy', 'priority'],
    ['--tensor-parallel-size', '2'],
    ['--dtype', 'float32'],
  ]) {
    expect(args.join(' ')).toContain(pair.join(' '));
  }
  expect(readFileSync(join(directory, 'flags.log'), 'utf8')).toContain('listening');
});

it('that is killed is started again; closed, it is not', async () => {
  const vllm = await startProcess('killed');
  const first = vllm.pid!;
  process.kill(first, 'SIGKILL');
  await until(() => vllm.restarts === 1);
  expect(vllm.up).toBe(true);
  expect(vllm.pid).not.toBe(first);
  const second = vllm.pid!;
  await vllm.close();
  expect(vllm.up).toBe(false);
  expect(isAlive(second)).toBe(false);
  expect(vllm.restarts).toBe(1);
});

it('that cannot start again is tried until it can', async () => {
  const vllm = await startProcess('again');
  process.env.FAKE_VLLM = 'fails';
  process.kill(vllm.pid!, 'SIGKILL');
  await until(() => readFileSync(vllm.logFile, 'utf8').split('ValueError').length > 2);
  expect(vllm.up).toBe(false);
  delete process.env.FAKE_VLLM;
  await until(() => vllm.up);
  expect(vllm.restarts).toBe(1);
});

it('that does not start at all is one line with the reason and where to read more', async () => {
  process.env.FAKE_VLLM = 'fails';
  const failing = VllmProcess.start({ ...options('failing'), model: 'm', args: [], log });
  await expect(failing).rejects.toThrow(/exit code 3: ValueError: no such weights\); see .*failing\.log/);
  const missing = { ...options('missing'), command: ['/no/such/vllm'] };
  await expect(VllmProcess.start({ ...missing, model: 'm', args: [], log })).rejects.toThrow(
    /exit code 127: .*\/no\/such\/vllm: not found/,
  );
});

it('ends with a node that is killed, its workers too', async () => {
  const cli = fileURLToPath(new URL('../cli.ts', import.meta.url));
  const { command, logFile } = options('orphans');
  const serve = ['serve', '--engine', 'vllm', '--engine-command', command.join(' '), '--engine-log', logFile];
  const node = spawn(
    process.execPath,
    ['--conditions=huozi-source', '--import', 'tsx', cli, ...serve, '--port', '0'],
    {
      env: { ...process.env, FAKE_VLLM: 'workers', HUOZI_NODE_TOKEN: 'x' },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  closers.push(async () => node.kill('SIGKILL'));
  // Its `ready` line.
  await once(node.stdout, 'data');
  const [, ...pids] = /pids (\d+) (\d+)/.exec(readFileSync(logFile, 'utf8'))!;
  const running = () => pids.filter((pid) => isAlive(Number(pid)));
  expect(running()).toHaveLength(2);
  node.kill('SIGKILL');
  await until(() => running().length === 0);
}, 120_000);
