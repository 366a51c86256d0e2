/**
 * What `GET /metrics` tells Prometheus. Names are vLLM's where it has one, with `huozi_` before it; counts that the
 * engine keeps begin anew with its process, which Prometheus' `rate()` knows to read.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EngineStats, GenerationEvents, ServedEngine } from '../engine/types.ts';
import type { EndReason } from '../protocol.ts';
import type { CancelCause } from './errors.ts';

const seconds = (ms: number) => ms / 1000;
/** From a tiny model's step to a long prompt on a CPU. */
const waits = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const gaps = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export class NodeMetrics {
  readonly registry = new Registry();
  #engine: ServedEngine | undefined;

  readonly #finished = this.#counter('requests_finished_total', 'Generations that ended, by reason', [
    'reason',
  ]);
  readonly #cancels = this.#counter('request_cancels_total', 'Generations ended early, by cause', ['cause']);
  readonly #errors = this.#counter('request_errors_total', 'Requests answered with an error', [
    'status',
    'code',
  ]);
  readonly #prompt = this.#counter('prompt_tokens_total', 'Prompt tokens of ended generations');
  readonly #cached = this.#counter('cached_prompt_tokens_total', 'Those of them whose KV was there already');
  readonly #completion = this.#counter('generation_tokens_total', 'Tokens of answers');
  readonly #firstToken = this.#histogram(
    'time_to_first_token_seconds',
    'From the request to its first text',
    waits,
  );
  readonly #gap = this.#histogram(
    'inter_token_latency_seconds',
    'From one text of an answer to the next, over its tokens',
    gaps,
  );
  readonly #whole = this.#histogram('e2e_request_latency_seconds', 'From the request to its end', waits);
  readonly #queued = this.#histogram(
    'request_queue_time_seconds',
    'Until a slot and KV cells were free',
    waits,
  );

  constructor() {
    const { registry } = this;
    const ofStats = (name: string, help: string, value: (stats: EngineStats) => number) =>
      this.#gauge(name, help, () => (this.#engine ? value(this.#engine.stats) : undefined));
    ofStats('num_requests_running', 'Sequences in prefill or decoding', (stats) => stats.active);
    ofStats('num_requests_waiting', 'Requests in the queue', (stats) => stats.queued);
    ofStats('queued_prompt_tokens', 'Prompt tokens in the queue', (stats) => stats.queuedTokens);
    ofStats('expected_queue_time_seconds', 'Estimate for a request that comes now', (stats) =>
      seconds(stats.expectedWaitMs),
    );
    ofStats('slots', 'Sequences that can run at the same time', (stats) => stats.slots);
    ofStats('kv_cache_cells', 'KV cells, tokens', (stats) => stats.kvTotal);
    ofStats('kv_cache_used_cells', 'Those that running sequences reserve', (stats) => stats.kvUsed);
    ofStats('kv_cache_idle_cells', 'Those that hold prefixes nobody runs on', (stats) => stats.kvCached);
    ofStats('kv_cache_usage_ratio', 'Used ÷ all', (stats) => stats.kvUsed / stats.kvTotal);
    const total = (name: string, help: string, value: (engine: ServedEngine) => number) => {
      const engine = () => this.#engine;
      const collect = function (this: Counter) {
        this.reset();
        this.inc(engine() ? value(engine()!) : 0);
      };
      new Counter({ name: `huozi_${name}`, help, registers: [registry], collect });
    };
    total('steps_total', 'Decode steps: one llama_decode each', ({ stats }) => stats.steps);
    total('step_seconds_total', 'Time in them', ({ stats }) => seconds(stats.stepMs));
    total('prefill_tokens_total', 'Prompt tokens evaluated', ({ stats }) => stats.prefillTokens);
    total('decode_tokens_total', 'Answer tokens evaluated', ({ stats }) => stats.decodeTokens);
    total('engine_restarts_total', 'Starts of the engine after a loss', ({ restarts = 0 }) => restarts);
    this.#gauge('engine_up', 'Whether the engine takes work', () =>
      this.#engine && this.#engine.state !== 'restarting' ? 1 : 0,
    );
    this.#gauge(
      'engine_resident_memory_bytes',
      "Resident memory of the engine's process",
      () => this.#engine?.residentBytes,
    );
    this.#gauge('process_resident_memory_bytes', "Resident memory of the server's process", () =>
      process.memoryUsage.rss(),
    );
    this.#gauge('process_heap_bytes', 'Heap in use there', () => process.memoryUsage().heapUsed);
  }

  /** The same engine; its generations are counted and timed. */
  watch(engine: ServedEngine): ServedEngine {
    this.#engine = engine;
    return new Proxy(engine, {
      get: (target, key) => {
        if (key === 'generate') return this.#generate;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #generate: ServedEngine['generate'] = (request, events) => {
    const begin = performance.now();
    let last = 0;
    const watched: GenerationEvents = {
      ...events,
      onText: (...args) => {
        const now = performance.now();
        if (last === 0) this.#firstToken.observe(seconds(now - begin));
        else this.#gap.observe(seconds(now - last) / Math.max(1, args[1].length));
        last = now;
        events.onText(...args);
      },
      onEnd: (end) => {
        this.#finished.inc({ reason: end.reason });
        this.#prompt.inc(end.promptTokens);
        this.#cached.inc(end.cachedTokens ?? 0);
        this.#completion.inc(end.completionTokens);
        this.#whole.observe(seconds(performance.now() - begin));
        if (end.queuedMs !== undefined) this.#queued.observe(seconds(end.queuedMs));
        events.onEnd(end);
      },
    };
    return this.#engine!.generate(request, watched);
  };

  /** An answer without `finish_reason`. */
  ended(reason: EndReason, cause: CancelCause | undefined): void {
    if (reason === 'cancelled') this.#cancels.inc({ cause: cause ?? 'drain' });
  }

  /** A request that was answered with an error; `code` is one of ours, never a client's text. */
  refused(status: number, code: string | null): void {
    this.#errors.inc({ status, code: code ?? 'none' });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[] = []): Counter<Label> {
    return new Counter({ name: `huozi_${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `huozi_${name}`, help, buckets, registers: [this.registry] });
  }

  #gauge(name: string, help: string, value: () => number | undefined): void {
    const collect = function (this: Gauge) {
      const now = value();
      if (now === undefined) this.reset();
      else this.set(now);
    };
    new Gauge({ name: `huozi_${name}`, help, registers: [this.registry], collect });
  }
}
