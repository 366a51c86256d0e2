/** Shared prefixes with llama.cpp's own KV cells: the same text comes out, and less is evaluated for it. */
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { loadEngine } from './engine.ts';
import { ask, greedy, questions, start, tinyModel } from './testing/generate.ts';
import type { Engine, EngineOptions } from './types.ts';

const options: EngineOptions = {
  modelPath: tinyModel,
  slots: 8,
  contextTokens: 4096,
  batchTokens: 64,
  threads: 1,
  gpuLayers: 0,
};
const seeded = { ...greedy, temperature: 0.8, top_p: 0.9, seed: 42 };
const document = '春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。'.repeat(18);

let engine: Engine;
let plain: Engine;
beforeAll(async () => {
  engine = await loadEngine(options);
  plain = await loadEngine({ ...options, prefixCache: false });
});
afterAll(async () => {
  await engine.close();
  await plain.close();
});

describe('shared prefixes', () => {
  it('give the same text as without, one at a time, greedy and seeded', async () => {
    for (const sampling of [greedy, seeded]) {
      for (const question of questions) {
        const request = { promptIds: ask(engine, question), sampling };
        const expected = await start(plain, request).answer;
        const first = await start(engine, request).answer;
        const again = await start(engine, request).answer;
        expect([first.text, again.text]).toEqual([expected.text, expected.text]);
        expect(again.cachedTokens).toBe(request.promptIds.length - 1);
        expect(expected.cachedTokens).toBe(0);
      }
    }
  });

  it('are evaluated once for many that come at once, and each gets its own answer', async () => {
    const prompts = questions.map((question) => ask(engine, `${document}\n${question}`));
    const expected = [];
    for (const promptIds of prompts) expected.push((await start(plain, { promptIds }).answer).text);
    const tenant = 'at-once';
    const answers = await Promise.all(
      prompts.map((promptIds) => start(engine, { promptIds, tenant }).answer),
    );
    expect(answers.map(({ text }) => text)).toEqual(expected);
    const evaluated = answers.map(({ promptTokens, cachedTokens }) => promptTokens - cachedTokens!);
    expect(Math.max(...evaluated)).toBeGreaterThan(400);
    // All but one evaluate their own question alone.
    expect(evaluated.filter((tokens) => tokens > 60)).toHaveLength(1);
    expect(engine.stats).toMatchObject({ active: 0, kvUsed: 0 });
  });

  it('serve the next turn of a conversation, and stay within their tenant', async () => {
    const turn = ask(engine, '背诵《静夜思》');
    const first = await start(engine, { promptIds: turn, tenant: 'a' }).answer;
    const next = engine.tokenize([
      { control: 'end' },
      { text: '\n' },
      { control: 'begin' },
      { text: '用户\n谢谢' },
      { control: 'end' },
      { text: '\n' },
      { control: 'begin' },
      { text: '助手\n' },
    ]);
    // The last one is the end marker, with which the next turn's tokens begin.
    const answer = first.ids.slice(0, -1);
    const promptIds = Int32Array.from([...turn, ...answer, ...next]);
    const other = await start(engine, { promptIds, tenant: 'b' }).answer;
    const second = await start(engine, { promptIds, tenant: 'a' }).answer;
    expect(other.cachedTokens).toBe(0);
    expect(second.cachedTokens).toBe(turn.length + answer.length);
    expect(second.text).toBe(other.text);
  });

  it('make room for what comes, however full the cells are', async () => {
    const small = await loadEngine({ ...options, contextTokens: 512 });
    for (let i = 0; i < 12; i++) {
      const promptIds = ask(small, `${i}${document.slice(0, 60)}`);
      expect((await start(small, { promptIds, maxTokens: 4 }).answer).reason).not.toBe('error');
      const { kvUsed, kvCached } = small.stats;
      expect(kvUsed).toBe(0);
      expect(kvCached).toBeLessThanOrEqual(512);
    }
    expect(small.stats.kvCached).toBeGreaterThan(400);
    // One that needs every cell there is.
    const promptIds = new Int32Array(504).fill(300);
    const large = await start(small, { promptIds, maxTokens: 8, ignoreEos: true }).answer;
    await small.close();
    expect(large).toMatchObject({ reason: 'length', completionTokens: 8, cachedTokens: 0 });
  });
});

describe('prefixes on disk', () => {
  const question = '背诵《静夜思》，然后从1数到20';

  async function folder(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'huozi-prefixes-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    return join(directory, 'cache');
  }

  it('come back after a restart, and answers go on from them identically, greedy and seeded', async () => {
    const cacheDir = await folder();
    const before = await loadEngine({ ...options, cacheDir });
    expect(before.info.restored).toEqual({ prefixes: 0, tokens: 0, ignored: [] });
    const promptIds = ask(before, `${document}\n${question}`);
    const expected = [];
    for (const sampling of [greedy, seeded])
      expected.push(await start(before, { promptIds, sampling, tenant: 'a' }).answer);
    await start(before, { promptIds: ask(before, `${document}\n你好`), tenant: 'a' }).answer;
    await before.close();

    for (const file of await readdir(cacheDir)) {
      expect(file).toMatch(/^(index\.json|[0-9a-f-]{36}\.state)$/);
      expect((await stat(join(cacheDir, file))).mode & 0o077).toBe(0);
    }
    const after = await loadEngine({ ...options, cacheDir });
    expect(after.info.restored).toMatchObject({ ignored: [] });
    expect(after.info.restored!.prefixes).toBeGreaterThanOrEqual(2);
    // The document is in several files, and in the cells once.
    expect(after.stats.kvCached).toBeLessThan(after.info.restored!.tokens);
    for (const [i, sampling] of [greedy, seeded].entries()) {
      const answer = await start(after, { promptIds, sampling, tenant: 'a' }).answer;
      expect(answer.cachedTokens).toBe(promptIds.length - 1);
      expect(answer.ids).toEqual(expected[i]!.ids);
      expect(answer.text).toBe(expected[i]!.text);
    }
    expect((await start(after, { promptIds, tenant: 'b' }).answer).cachedTokens).toBe(0);
    await after.close();
  });

  it('are ignored when damaged or made by another model, and the engine serves without them', async () => {
    const cacheDir = await folder();
    const save = async () => {
      const engine = await loadEngine({ ...options, cacheDir });
      const { answer } = start(engine, { promptIds: ask(engine, document) });
      await answer;
      await engine.close();
      return (await readdir(cacheDir)).filter((file) => file.endsWith('.state'))[0] as string;
    };
    const restored = async () => {
      const engine = await loadEngine({ ...options, cacheDir });
      const { info } = engine;
      const answer = await start(engine, { promptIds: ask(engine, '你好') }).answer;
      expect(answer.reason).not.toBe('error');
      await engine.close();
      return info.restored!;
    };
    const state = join(cacheDir, await save());
    const bytes = await readFile(state);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(state, bytes);
    expect(await restored()).toMatchObject({ prefixes: 0, ignored: [expect.stringMatching(/damaged$/)] });

    await truncate(join(cacheDir, await save()), 100);
    expect(await restored()).toMatchObject({ prefixes: 0, ignored: [expect.stringMatching(/damaged$/)] });

    await save();
    const index = join(cacheDir, 'index.json');
    const text = await readFile(index, 'utf8');
    await writeFile(index, text.replace(/"fingerprint": "../, '"fingerprint": "xx'));
    expect(await restored()).toMatchObject({
      prefixes: 0,
      ignored: [expect.stringMatching(/another model/)],
    });

    await save();
    const named = await readFile(index, 'utf8');
    // More than an array can have.
    await writeFile(index, named.replaceAll(/"tokens": \d+/g, '"tokens": 9007199254740991'));
    expect(await restored()).toMatchObject({ prefixes: 0, ignored: [expect.stringMatching(/damaged$/)] });

    await writeFile(index, text.replaceAll(/"file": "[^"]*"/g, '"file": "../../../etc/passwd"'));
    expect(await restored()).toMatchObject({ prefixes: 0, ignored: ['index.json: not readable'] });
    await writeFile(index, '{');
    expect(await restored()).toMatchObject({ prefixes: 0, ignored: ['index.json: not readable'] });
  });

  it('stay within their bytes', async () => {
    const cacheDir = await folder();
    const small = await loadEngine({ ...options, cacheDir, cacheBytes: 1000 });
    await start(small, { promptIds: ask(small, document) }).answer;
    await small.close();
    expect(await readdir(cacheDir)).toEqual(['index.json']);
  });
});
