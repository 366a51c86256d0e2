/** The files of a batch, and what a crash leaves of them. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkRequests, openResults, readRequests } from '../src/cli/batch-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huozi-batch-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const request = (custom_id: unknown, rest: object = {}) =>
  JSON.stringify({
    custom_id,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'huozi' },
    ...rest,
  });
const result = (custom_id: string, status_code: number) =>
  JSON.stringify({ custom_id, response: { status_code, body: {} }, error: null });

async function file(name: string, ...lines: string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.join('\n'));
  return path;
}

describe('requests', () => {
  test('are read one by one; empty lines are none', async () => {
    const path = await file('in.jsonl', request('a'), '', request('b', { url: '/v1/completions' }), '');
    expect(await checkRequests(path)).toBe(2);
    const read = [];
    for await (const { id, path: below } of readRequests(path)) read.push([id, below]);
    expect(read).toEqual([
      ['a', '/chat/completions'],
      ['b', '/completions'],
    ]);
  });

  test.each<[string, RegExp]>([
    ['{', /request 2: is no JSON/],
    ['5', /custom_id/],
    [request(5), /custom_id/],
    [request('b', { url: '/admin/keys' }), /url is \/admin\/keys/],
    [request('b', { url: 'toString' }), /url/],
    [request('b', { method: 'GET' }), /method/],
    [request('b', { body: [] }), /body is no object/],
    [request('b', { body: { stream: true } }), /does not stream/],
    [request('a'), /custom_id a stands there twice/],
  ])('%s is refused with its number', async (line, message) => {
    const path = await file('wrong.jsonl', request('a'), line);
    await expect(checkRequests(path)).rejects.toThrow(message);
  });
});

describe('results', () => {
  test('answers stay; failures, doubles and a torn line go', async () => {
    const path = await file(
      'out.jsonl',
      result('a', 200),
      result('b', 500),
      result('a', 200),
      JSON.stringify({ custom_id: 'c', response: null, error: { code: 'x' } }),
      result('d', 200),
      result('e', 200).slice(0, -5),
    );
    const { file: open, done } = await openResults(path);
    await open.write(`${result('f', 200)}\n`);
    await open.close();
    expect([...done]).toEqual(['a', 'd']);
    expect(await readFile(path, 'utf8')).toBe(
      `${[result('a', 200), result('d', 200), result('f', 200)].join('\n')}\n`,
    );
  });

  test('none yet', async () => {
    const { file: open, done } = await openResults(join(folder, 'new.jsonl'));
    await open.close();
    expect(done.size).toBe(0);
  });
});
