import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PullOptions, pull } from './pull.ts';
import { type FakeHub, type Mishap, startFakeHub } from './testing/fake-hub.ts';

// Against a server of our own on 127.0.0.1: whether the real hubs still answer so, no test here can say.

const shard = 'model-00001-of-00001.safetensors';
const weights = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 2_654_435_761) >>> 24);

let hub: FakeHub;
let out: string;
beforeEach(async () => {
  hub = await startFakeHub();
  hub.files = new Map([
    ['config.json', Buffer.from('{"vocab_size": 57002}')],
    [shard, weights],
    ['original/活字 notes.txt', Buffer.from('笔记')],
    ['empty', new Uint8Array()],
  ]);
  hub.lfs = new Set([shard]);
  out = await mkdtemp(join(tmpdir(), 'huozi-pull-'));
});
afterEach(async () => {
  await hub.close();
  await rm(out, { recursive: true });
});

function run(options: Partial<PullOptions> = {}) {
  return pull({
    source: 'huggingface',
    repo: 'HIT-SCIR/huozi',
    out,
    endpoint: hub.url,
    ...options,
    http: { firstDelayMs: 1, ...options.http },
  });
}

/** As strings, one character a byte: element by element, vitest takes a second to compare one file. */
async function here(): Promise<Record<string, string>> {
  const entries = await readdir(out, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(
    paths.map(async (path) => [path.slice(out.length + 1), await readFile(path, 'latin1')] as const),
  );
  return Object.fromEntries(contents);
}

const everything = () =>
  Object.fromEntries([...hub.files].map(([path, bytes]) => [path, Buffer.from(bytes).toString('latin1')]));

describe.each(['huggingface', 'modelscope'] as const)('pull from %s', (source) => {
  it('fetches every file, and says how far it is', async () => {
    let [total, done] = [0, 0];
    const result = await run({
      source,
      onStart: (bytes) => {
        total = bytes;
      },
      onProgress: (bytes) => {
        done += bytes;
      },
    });
    expect(await here()).toEqual(everything());
    expect(result).toMatchObject({ files: 4, bytes: total, kept: 0, unchecked: 0 });
    expect(done).toBe(total);
  });

  it('leaves what is here already, and fetches nothing of it again', async () => {
    await run({ source });
    hub.requests.length = 0;
    expect(await run({ source })).toMatchObject({ files: 4, kept: 4 });
    expect(hub.requests).toHaveLength(1);
  });

  it('goes on where a connection broke off, time after time', async () => {
    hub.mishaps.set(shard, [{ cutAfter: 100_000 }, { cutAfter: 50_000 }, { endAfter: 50_000 }]);
    let done = 0;
    await run({
      source,
      onProgress: (bytes) => {
        done += bytes;
      },
    });
    expect(await here()).toEqual(everything());
    const ranges = hub.requests.flatMap(({ range }) => range ?? []);
    expect(ranges).toHaveLength(3);
    // Each time from further on, and never from the beginning again.
    expect(ranges.map((range) => Number(range.slice(6, -1)))).toEqual(
      ranges.map((range) => Number(range.slice(6, -1))).toSorted((a, b) => a - b),
    );
    expect(ranges.at(-1)).toMatch(/^bytes=[12]\d{5}-$/);
    expect(done).toBe([...hub.files.values()].reduce((sum, { length }) => sum + length, 0));
  });

  it('sends the token, and says which variable to set without one', async () => {
    hub.token = 'secret';
    await run({ source, token: 'secret' });
    expect(hub.requests.every(({ authorization }) => authorization === 'Bearer secret')).toBe(true);
    const variable = source === 'huggingface' ? 'HF_TOKEN' : 'MODELSCOPE_API_TOKEN';
    await expect(run({ source })).rejects.toThrow(`set ${variable}`);
    const error = await run({ source, token: 'wrong' }).catch((reason: Error) => reason);
    expect(String(error)).toMatch(/the token does not open it/);
    expect(String(error)).not.toContain('wrong');
  });

  it('does not let the hub choose where on the disk a file goes', async () => {
    for (const path of ['../outside', '/etc/passwd', 'a/../../b', 'a//b', 'C:\\x', 'a\\b', 'line\nbreak']) {
      hub.extraEntries = [
        source === 'huggingface'
          ? { type: 'file', path, size: 1, oid: 'x' }
          : { Type: 'blob', Path: path, Size: 1 },
      ];
      await expect(run({ source })).rejects.toThrow('lists a file with the name');
    }
    expect(await here()).toEqual({});
  });
});

describe('pull', () => {
  it('goes on in the next run with what an interrupted one left', async () => {
    hub.mishaps.set(shard, Array<Mishap>(6).fill({ cutAfter: 0 }).with(0, { cutAfter: 120_000 }));
    await expect(run({ include: ['*.safetensors'], http: { tries: 2 } })).rejects.toThrow(/2 times in a row/);
    hub.mishaps.clear();
    const [part] = Object.entries(await here());
    expect(part?.[0]).toMatch(/\.part$/);
    hub.requests.length = 0;
    let inPart = 0;
    await run({
      include: ['*.safetensors'],
      onStart: (_, done) => {
        inPart = done;
      },
    });
    expect(inPart).toBe(part?.[1].length);
    expect(hub.requests.at(-1)?.range).toBe(`bytes=${inPart}-`);
    expect(await here()).toEqual({ [shard]: Buffer.from(weights).toString('latin1') });
  });

  it.each<[string, Mishap[]]>([
    ['a hub that is overloaded', [{ status: 503 }, { status: 500 }]],
    ['one that asks to wait', [{ status: 429, headers: { 'retry-after': '0' } }]],
    ['bytes that were damaged on the way', ['garbled']],
    ['a hub that knows no ranges', [{ cutAfter: 100_000 }, 'ignores-range']],
    ['one that cannot go on where we stopped', [{ cutAfter: 100_000 }, { status: 416 }]],
    ['a connection that falls silent', ['silent']],
  ])('survives %s', async (_, mishaps) => {
    hub.mishaps.set(shard, mishaps);
    let done = 0;
    const { bytes } = await run({
      http: { idleMs: 200 },
      onProgress: (count) => {
        done += count;
      },
    });
    expect(await here()).toEqual(everything());
    expect(done).toBe(bytes);
  });

  it('waits as long as Retry-After says, and not for a day', async () => {
    hub.mishaps.set('listing', [{ status: 429, headers: { 'retry-after': '1' } }]);
    const before = performance.now();
    await run();
    expect(performance.now() - before).toBeGreaterThan(990);
    hub.mishaps.set('listing', [{ status: 429, headers: { 'retry-after': '86400' } }]);
    await expect(run()).rejects.toThrow(/answers 429 and wants us back in 1440 min/);
  });

  it('gives up a file whose checksum is wrong twice, and keeps nothing of it', async () => {
    hub.mishaps.set(shard, ['garbled', 'garbled']);
    await expect(run({ jobs: 1 })).rejects.toThrow(`${join(out, shard)}: came twice with a wrong checksum`);
    expect(Object.keys(await here())).not.toContainEqual(expect.stringContaining('safetensors'));
  });

  it('gives up after so many tries in a row, naming the address and the cause', async () => {
    hub.mishaps.set(shard, Array<Mishap>(20).fill({ status: 502 }));
    const error = await run({ http: { tries: 3 } }).catch((reason: Error) => reason);
    expect(String(error)).toMatch(/resolve\/main\/model-00001\S+: the hub answers 502, 3 times in a row$/);
    const url = hub.url;
    await hub.close();
    await expect(run({ endpoint: url, http: { tries: 2 } })).rejects.toThrow(
      /ECONNREFUSED, 2 times in a row/,
    );
    hub = await startFakeHub();
  });

  it('says what is not there', async () => {
    await expect(run({ repo: 'HIT-SCIR/huozi9' })).rejects.toThrow(/huozi9\S*: not found \(404\)/);
    await expect(run({ revision: 'v9' })).rejects.toThrow(/tree\/v9\S*: not found/);
    await expect(run({ include: ['*.gguf'] })).rejects.toThrow('none of its 4 files matches');
  });

  it('refuses an answer that is not the list of files', async () => {
    hub.extraEntries = [{ nonsense: true }];
    await expect(run()).rejects.toThrow("not this hub's list of files");
  });

  it('fetches only what --include names, by name or by path', async () => {
    await run({ include: ['*.json', 'original/**'] });
    expect(Object.keys(await here()).sort()).toEqual(['config.json', 'original/活字 notes.txt']);
  });

  it('follows the pages of a long list, on the endpoint in use, not on the one that they name', async () => {
    for (let i = 0; i < 25; i++) hub.files.set(`more/${i}.txt`, Buffer.from(String(i)));
    hub.pageSize = 4;
    hub.linkOrigin = 'https://hub.invalid';
    await run({ token: 'secret' });
    expect(await here()).toEqual(everything());
  });

  it("does not touch a file that is not the hub's, unless forced", async () => {
    const mine = join(out, 'config.json');
    await writeFile(mine, 'mine');
    await expect(run()).rejects.toThrow(`${mine}: exists already and is not the hub's`);
    // Of the same size: only the checksum tells.
    await writeFile(mine, Buffer.alloc(hub.files.get('config.json')!.length));
    await expect(run()).rejects.toThrow(`${mine}: exists already`);
    await run({ force: true });
    expect(await here()).toEqual(everything());
  });

  it('compares by size alone, and says so, where the hub tells no checksum', async () => {
    hub.tellsChecksums = false;
    expect(await run({ source: 'modelscope' })).toMatchObject({ files: 4, unchecked: 4 });
    expect(await here()).toEqual(everything());
  });

  it('stops when told to, and leaves what it has for the next time', async () => {
    hub.mishaps.set(shard, [{ cutAfter: 100_000 }, 'silent']);
    const stop = new AbortController();
    const running = run({
      signal: stop.signal,
      onProgress: (bytes) => {
        if (bytes > 30_000) setTimeout(() => stop.abort(new Error('stopped')), 50);
      },
    });
    await expect(running).rejects.toThrow();
    expect(Object.keys(await here()).some((path) => path.endsWith('.part'))).toBe(true);
  });

  it('says that the disk is the problem when it is', async () => {
    await rm(out, { recursive: true });
    await writeFile(out, 'a file');
    await expect(run()).rejects.toThrow(out);
    await rm(out);
    await mkdir(out);
  });
});
