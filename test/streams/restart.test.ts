/** The worker is killed amid streams of a real node: another one on the same storage goes on with them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createKey } from '../../src/dev/dev-key.ts';
import { startNode } from '../../src/dev/node-process.ts';
import { startWorker } from '../../src/dev/worker-host.ts';
import { until } from '../edge/edge.ts';
import { workerds } from '../workerds.ts';
import { begin, goOn, type Reader, read, type Told, textOf } from './read.ts';

const asked = [
  ['从1数到20', { temperature: 0 }],
  ['从1数到20', { seed: 3 }],
  ['背诵《静夜思》', { temperature: 0 }],
  ['背诵《静夜思》', { seed: 4 }],
  ['从1数到15', { temperature: 0, stream_options: { include_usage: true } }],
  ['从1数到12', { seed: 5, temperature: 0.3 }],
].map(([content, fields]) => ({ messages: [{ role: 'user', content }], ...(fields as object) }));

it('streams whose worker is killed go on: every byte once, the same text, billed once', async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'huozi-streams-'));
  const node = await startNode('the-token-of-the-node', ['--threads', '1']);
  const adminToken = 'an-admin-token-of-this-test';
  const log: string[] = [];
  const start = () =>
    startWorker({
      port: 0,
      bindings: {
        NODE_URLS: node.url,
        NODE_TOKEN: 'the-token-of-the-node',
        KEY_SECRET: 'a secret of this test of streams',
        ADMIN_TOKEN: adminToken,
      },
      stateDirectory,
      onLog: (line) => log.push(line),
    });
  const before = workerds();
  const first = await start();
  const pids = workerds().filter((pid) => !before.includes(pid));
  const { key: apiKey } = await createKey(first.url, adminToken, { name: 'restart' });
  const one: Reader = { baseURL: `${first.url}/v1`, apiKey };
  try {
    const uncut: Told[] = [];
    for (const body of asked) {
      const told: Told = { events: [], done: false };
      const [, response] = await begin(one, body);
      await read(response, told);
      uncut.push(told);
    }

    const told = asked.map((): Told => ({ events: [], done: false }));
    const begun = await Promise.all(asked.map((body) => begin(one, body)));
    const streams = begun.map(([stream]) => stream);
    await Promise.all(
      begun.map(async ([, response], at) => {
        // Cut by the death of the worker.
        await read(response, told[at]!, at === 0 ? 1 : undefined).catch(() => undefined);
        if (at > 0) return;
        // The node rests meanwhile: a quick one would be through with all answers before the worker is dead.
        process.kill(node.pid, 'SIGSTOP');
        for (const pid of pids) process.kill(pid, 'SIGKILL');
      }),
    );
    await first.stop().catch(() => undefined);
    process.kill(node.pid, 'SIGCONT');

    const isBilled = (stream: string) =>
      log.some((line) => line.includes('"event":"usage"') && line.includes(stream.split('/').at(-1)!));
    const interrupted = streams.filter((stream) => !isBilled(stream));
    expect(interrupted.length).toBeGreaterThan(0);
    const second = await start();
    try {
      // Nobody has asked for them: their alarms go on with them.
      await until(() => interrupted.every(isBilled));
      const two: Reader = { baseURL: `${second.url}/v1`, apiKey };
      for (const [at, stream] of streams.entries()) {
        const soFar = told[at]!;
        if (!soFar.done) await read(await goOn(two, stream, soFar.events.length), soFar);
        expect(soFar.done).toBe(true);
        expect(textOf(soFar.events)).toBe(textOf(uncut[at]!.events));
        const again: Told = { events: [], done: false };
        await read(await goOn(two, stream, 0), again);
        expect(again.events).toEqual(soFar.events);
      }
      const usage = await fetch(`${second.url}/v1/usage`, { headers: { authorization: `Bearer ${apiKey}` } });
      const { data } = (await usage.json()) as { data: Record<string, number>[] };
      const lines = log.filter((line) => line.includes('"event":"usage"')).map((line) => JSON.parse(line));
      expect(lines).toHaveLength(2 * asked.length);
      expect(data).toHaveLength(1);
      expect(data[0]).toMatchObject({ errors: 0, unsettled_tokens: 0 });
    } finally {
      await second.stop();
    }
  } finally {
    await first.stop().catch(() => undefined);
    await node.stop();
    await rm(stateDirectory, { recursive: true, force: true });
  }
}, 120_000);
