/** The engine in a process of its own, with huozi-tiny, and what happens when that process fails. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { loadEngine } from '../engine/engine.ts';
import { EngineClosedError, PromptTooLongError } from '../engine/errors.ts';
import { ModelFileError } from '../engine/model-errors.ts';
import { ask, greedy, start, tinyModel } from '../engine/testing/generate.ts';
import type {
  EngineOptions,
  GenerationEnd,
  GenerationEvents,
  ServedEngine,
  TokenDetails,
} from '../engine/types.ts';
import { type EngineProcess, type EngineProcessOptions, startEngineProcess } from './engine-process.ts';
import { EngineLostError, EngineRestartingError } from './errors.ts';

const options: EngineOptions = {
  modelPath: tinyModel,
  slots: 4,
  contextTokens: 4096,
  batchTokens: 256,
  threads: 1,
};
const log = pino({ level: 'silent' });
const folder = mkdtempSync(join(tmpdir(), 'huozi-process-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function startProcess(overrides: Partial<EngineProcessOptions> = {}): Promise<EngineProcess> {
  const engine = await startEngineProcess(options, { log, restartDelayMs: 10, ...overrides });
  onTestFinished(() => engine.close());
  return engine;
}

const prompt = [{ control: 'bos' }, { control: 'begin' }, { text: '用户\n你好' }] as const;

/** A generation that goes on until it is ended. */
async function startLong(engine: ServedEngine) {
  const promptIds = await engine.tokenize(prompt);
  const request = {
    promptIds,
    sampling: { ...greedy, temperature: 2 },
    maxTokens: 3000,
    stopIds: [],
    stopStrings: [],
    ignoreEos: true,
  };
  let settle: (end: GenerationEnd) => void;
  const ended = new Promise<GenerationEnd>((resolve) => {
    settle = resolve;
  });
  let told!: () => void;
  const begun = new Promise<void>((resolve) => {
    told = resolve;
  });
  const generation = engine.generate(request, { onText: () => told(), onEnd: (end) => settle(end) });
  return { generation, ended, begun, promptIds };
}

test('says the same as the engine in this process', async () => {
  const here = await loadEngine(options);
  const there = await startProcess();
  const promptIds = ask(here, '你好，请介绍一下你自己。');
  expect(there.info).toEqual(here.info);
  expect(await there.tokenize(prompt)).toEqual(here.tokenize(prompt));
  const local = await start(here, { promptIds }).answer;
  const events: unknown[] = [];
  const remote = await new Promise<GenerationEnd>((resolve) => {
    there.generate(
      { promptIds, sampling: greedy, maxTokens: 32, stopIds: [], stopStrings: [], ignoreEos: false },
      { onText: (text, ids, position) => events.push({ text, ids, position }), onEnd: resolve },
    );
  });
  expect(events).toEqual(local.events);
  expect(remote).toMatchObject({
    reason: local.reason,
    promptTokens: local.promptTokens,
    completionTokens: local.completionTokens,
  });
  await here.close();
});

test('routed experts come over from there, of one request and of all', async () => {
  const engine = await startProcess();
  const promptIds = await engine.tokenize(prompt);
  const one = { maxTokens: 1, stopIds: [], stopStrings: [], ignoreEos: true, returnExperts: true };
  let told: TokenDetails | undefined;
  await new Promise<GenerationEnd>((resolve) => {
    const request = { promptIds, sampling: greedy, ...one };
    const onText = (...[, , , details]: Parameters<GenerationEvents['onText']>) => {
      told = details;
    };
    engine.generate(request, {
      onText,
      onEnd(end) {
        told ??= end.details;
        resolve(end);
      },
    });
  });
  const { layers, experts, expertsUsed } = engine.info;
  expect(told?.experts?.length).toBe(layers * expertsUsed);
  const telemetry = await engine.expertTelemetry();
  expect(telemetry).toMatchObject({ mode: 'sampled', experts, experts_used: expertsUsed, steps_sampled: 1 });
  expect(telemetry.layers.length).toBe(layers);
});

test('a refusal has the class and the fields that it would have here', async () => {
  const engine = await startProcess();
  const { promptIds } = await startLong(engine);
  const request = {
    promptIds: new Int32Array(4096).fill(7),
    sampling: greedy,
    maxTokens: 1,
    stopIds: [],
    stopStrings: [],
    ignoreEos: false,
  };
  const events = { onText: vi.fn(), onEnd: vi.fn() };
  const refusal = await engine.generate(request, events).accepted?.catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(PromptTooLongError);
  expect(refusal).toMatchObject({ promptTokens: 4096, maxSequence: engine.info.maxSequence });
  const empty = engine.generate({ ...request, promptIds: promptIds.subarray(0, 0) }, events).accepted;
  await expect(empty).rejects.toThrow(RangeError);
  expect(events.onEnd).not.toHaveBeenCalled();
});

test('cancel ends it over there', async () => {
  const engine = await startProcess();
  const { generation, ended, begun } = await startLong(engine);
  await begun;
  generation.cancel();
  expect(await ended).toMatchObject({ reason: 'cancelled' });
  await vi.waitFor(() => expect(engine.stats).toMatchObject({ active: 0, kvUsed: 0 }));
});

test.each(['SIGABRT', 'SIGSEGV'] as const)(
  '%s: what ran ends with an error and its counts, and a new process takes over',
  async (signal) => {
    const engine = await startProcess({ restartDelayMs: 200 });
    const { ended, begun, promptIds } = await startLong(engine);
    await begun;
    process.kill(engine.pid!, signal);
    const end = await ended;
    expect(end).toMatchObject({ reason: 'error', promptTokens: promptIds.length });
    expect(end.completionTokens).toBeGreaterThan(0);
    expect(end.error).toBeInstanceOf(EngineLostError);
    expect(end.error).toMatchObject({ how: signal });

    expect(engine.state).toBe('restarting');
    expect(engine.stats).toMatchObject({ active: 0, queued: 0, kvUsed: 0 });
    const refused = await engine.tokenize(prompt).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(EngineRestartingError);
    expect((refused as EngineRestartingError).retryAfterMs).toBeGreaterThan(0);

    await vi.waitFor(() => expect(engine.state).toBe('ready'), { timeout: 10_000 });
    expect(engine.restarts).toBe(1);
    const again = await startLong(engine);
    await again.begun;
  },
);

test('a process that cannot be started is tried again, and takes no server with it', async () => {
  const engine = await startProcess();
  const { execPath } = process;
  const errors = vi.spyOn(log, 'error');
  try {
    // As when the machine has no process left to give.
    process.execPath = join(folder, 'no-node');
    process.kill(engine.pid!, 'SIGKILL');
    await vi.waitFor(() =>
      expect(errors).toHaveBeenCalledWith(expect.anything(), 'the engine did not start again'),
    );
  } finally {
    process.execPath = execPath;
  }
  await vi.waitFor(() => expect(engine.state).toBe('ready'), { timeout: 10_000 });
  expect(engine.restarts).toBe(1);
});

test('a step that hangs ends the process, and a wait for a step that comes does not', async () => {
  const engine = await startProcess({ stepTimeoutMs: 1500 });
  const running = await startLong(engine);
  await running.begun;
  const { pid } = engine;
  // Longer than the limit, with steps all the time.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(engine.pid).toBe(pid);
  process.kill(pid!, 'SIGSTOP');
  const { error } = await running.ended;
  expect(error).toBeInstanceOf(EngineLostError);
  expect(error!.message).toMatch(/nothing finished in [12] s/);
  await vi.waitFor(() => expect(engine.state).toBe('ready'), { timeout: 10_000 });
});

test('an idle engine is not taken for one that hangs', async () => {
  const engine = await startProcess({ stepTimeoutMs: 300 });
  const { pid } = engine;
  process.kill(pid!, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  process.kill(pid!, 'SIGCONT');
  await (await startLong(engine)).begun;
  expect(engine.pid).toBe(pid);
});

test('a listener that throws loses its own generation', async () => {
  const engine = await startProcess();
  const other = await startLong(engine);
  const ended = new Promise<GenerationEnd>((resolve) => {
    const request = { promptIds: other.promptIds, sampling: greedy, maxTokens: 500 };
    engine.generate(
      { ...request, stopIds: [], stopStrings: [], ignoreEos: true },
      {
        onText() {
          throw new Error('a bug of ours');
        },
        onEnd: resolve,
      },
    );
  });
  expect(await ended).toMatchObject({ reason: 'cancelled' });
  await other.begun;
  expect(engine.state).toBe('ready');
});

test('a model that cannot be loaded is refused as it is in this process', async () => {
  const modelPath = join(folder, 'none.gguf');
  const refusal = await startEngineProcess({ ...options, modelPath }, { log }).catch(
    (error: unknown) => error,
  );
  expect(refusal).toBeInstanceOf(ModelFileError);
  expect(refusal).toMatchObject({ problem: 'missing', path: modelPath });
  await expect(startEngineProcess({ ...options, slots: 0 }, { log })).rejects.toThrow(RangeError);
});

test('close ends what runs as cancelled, then the process', async () => {
  const engine = await startProcess();
  const { ended, begun } = await startLong(engine);
  await begun;
  const { pid } = engine;
  await engine.close();
  expect(await ended).toMatchObject({ reason: 'cancelled' });
  expect(() => process.kill(pid!, 0)).toThrow(/ESRCH/);
  await expect(engine.tokenize(prompt)).rejects.toThrow(EngineClosedError);
});
