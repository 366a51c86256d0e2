/** The further ranks' script for operators, with a double of vLLM that has a worker. The real one: `npm run test:vllm -- ranks`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, it } from 'vitest';

const script = fileURLToPath(new URL('../../examples/vllm/rank.sh', import.meta.url));
/** Ends its worker when it is told to end, and cannot when it is killed. */
const double = `#!/usr/bin/env bash
sleep 600 & worker=$!
trap 'kill $worker; exit 0' TERM
echo "$$ $worker" >> "$(dirname "$0")/started"
wait
`;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function lives(pid: number): boolean {
  try {
    // One that ended is a zombie where nothing takes it up.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await delay(20);
}

function startRank() {
  const folder = mkdtempSync(join(tmpdir(), 'huozi-rank-'));
  const vllm = join(folder, 'vllm');
  writeFileSync(vllm, double);
  chmodSync(vllm, 0o755);
  const rank = spawn(script, ['1', '2', '127.0.0.1', 'model'], {
    env: { ...process.env, VLLM: vllm },
    stdio: 'inherit',
  });
  const started = join(folder, 'started');
  const lines = () => (existsSync(started) ? readFileSync(started, 'utf8').trim().split('\n') : []);
  closers.push(() => {
    rank.kill('SIGKILL');
    // Of a test that failed.
    for (const pid of lines().flatMap((line) => line.split(' ').map(Number))) {
      if (lives(pid)) process.kill(pid, 'SIGKILL');
    }
    rmSync(folder, { recursive: true });
  });
  /** Process ids of vLLM and its worker, once it was started so many times. */
  const pids = async (times: number) => {
    await until(() => lines().length >= times);
    return lines()[times - 1]!.split(' ').map(Number) as [number, number];
  };
  return { rank, pids };
}

it('a rank that is killed takes its worker with it, and is started again', async () => {
  const { rank, pids } = startRank();
  const [vllm, worker] = await pids(1);
  process.kill(vllm, 'SIGKILL');
  const again = await pids(2);
  await until(() => ![vllm, worker].some(lives));
  rank.kill('SIGTERM');
  await once(rank, 'exit');
  // What was killed takes a moment to be gone.
  await until(() => !again.some(lives));
});

it('a script that is killed leaves nothing', async () => {
  const { rank, pids } = startRank();
  const both = await pids(1);
  rank.kill('SIGKILL');
  await until(() => !both.some(lives));
});
