import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { huoziFromEnv, keyFromEnv, keyFromFile } from '../src/node.ts';
import { fakeFetch, json } from './fake-fetch.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huozi-key-'));
  file = join(folder, 'key');
  for (const name of ['HUOZI_API_KEY', 'HUOZI_API_KEY_FILE', 'HUOZI_BASE_URL']) vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

test('a file, its newline cut off; a rotated key is noticed after a while', async () => {
  await writeFile(file, 'hz_1\n');
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  const key = keyFromFile(file);
  expect(await key()).toBe('hz_1');
  await writeFile(file, 'hz_2\n');
  expect(await key()).toBe('hz_1');
  now.mockReturnValue(12_000);
  expect(await key()).toBe('hz_2');
});

test('no file: an error that names it', async () => {
  await expect(keyFromFile(file)()).rejects.toMatchObject({
    code: 'no_key',
    message: expect.stringContaining(file),
  });
});

test('the environment: the key itself before its file, neither is an error', async () => {
  const key = keyFromEnv();
  await expect(key()).rejects.toMatchObject({ code: 'no_key' });
  await writeFile(file, 'hz_file');
  vi.stubEnv('HUOZI_API_KEY_FILE', file);
  expect(await key()).toBe('hz_file');
  vi.stubEnv('HUOZI_API_KEY', 'hz_env');
  expect(await key()).toBe('hz_env');
});

test('a client of the environment', async () => {
  vi.stubEnv('HUOZI_API_KEY', 'hz_env');
  const fake = fakeFetch(json({ object: 'list', data: [] }));
  await huoziFromEnv({ fetch: fake.fetch }).models.list();
  vi.stubEnv('HUOZI_BASE_URL', 'https://edge.example.com');
  await huoziFromEnv({ fetch: fake.fetch, apiKey: 'k' }).models.list();
  expect(fake.requests.map(({ url, headers }) => [url, headers.get('authorization')])).toEqual([
    ['http://127.0.0.1:8787/v1/models', 'Bearer hz_env'],
    ['https://edge.example.com/v1/models', 'Bearer k'],
  ]);
});
