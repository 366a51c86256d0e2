/** vLLM behind `UpstreamEngine`: one that runs already, or one that this node has started. */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ExpertsUnavailableError } from '../engine/errors.ts';
import type { EngineStats } from '../engine/types.ts';
import {
  UpstreamFailedError,
  UpstreamMalformedError,
  UpstreamStatusError,
  UpstreamUnreachableError,
} from '../upstream/errors.ts';
import type { UpstreamHttp } from '../upstream/http.ts';
import type {
  UpstreamAdapter,
  UpstreamEnd,
  UpstreamProgress,
  UpstreamRequest,
} from '../upstream/upstream-engine.ts';
import type { KnownModel } from '../upstream/vocabulary.ts';
import { completionBody } from './body.ts';
import { ChunkReader, type Told } from './chunk.ts';
import { readMetrics, statsOf, type VllmMetrics } from './metrics.ts';

/** Where vLLM runs, as far as this node has to do with it. */
export interface VllmHost {
  readonly http: UpstreamHttp;
  /** False while its process is down. */
  readonly up: boolean;
  readonly restarts: number;
  close(): Promise<void>;
}

export interface VllmAdapterOptions {
  host: VllmHost;
  model: KnownModel;
  log: Logger;
  /** Sequences that vLLM decodes at the same time, its `--max-num-seqs`. */
  slots: number;
  /** Longest prompt + answer that this node lets through, tokens. */
  maxSequence?: number;
  /** How often its metrics are read, milliseconds. @default 1_000 */
  pollMs?: number;
}

const route = '/v1/completions';
const modelList = z.looseObject({
  data: z.array(
    z.looseObject({ id: z.string(), max_model_len: z.nullish(z.int()), parent: z.nullish(z.string()) }),
  ),
});

/**
 * Asks vLLM what it serves and what it can.
 * @throws UpstreamUnreachableError, UpstreamStatusError, UpstreamMalformedError
 */
export async function connectVllm(options: VllmAdapterOptions): Promise<VllmAdapter> {
  const { http } = options.host;
  const models = modelList.safeParse(await http.json('/v1/models'));
  const served = models.data?.data[0];
  // Its LoRA modules are models there, with the name of what they are put on.
  const loras = models.data?.data.flatMap(({ id, parent }) => (parent === served?.id ? id : [])) ?? [];
  if (!served) throw new UpstreamMalformedError(`${http.url} serves no model`);
  const version = await http.json('/version').then(
    (answer) => String((answer as { version?: unknown }).version ?? ''),
    () => '',
  );
  const adapter = new VllmAdapter(options, {
    model: served.id,
    loras: loras.filter((name) => /^[\w.-]{1,64}$/.test(name)),
    maxSequence: Math.min(
      served.max_model_len ?? Number.POSITIVE_INFINITY,
      options.maxSequence ?? Number.POSITIVE_INFINITY,
      options.model.trainedContext,
    ),
    hasPriority: await takesPriority(http, served.id, options.model),
    version,
  });
  await adapter.look();
  return adapter;
}

/** One token for nothing: vLLM tells in no other way which policy it schedules by. */
async function takesPriority(http: UpstreamHttp, model: string, known: KnownModel): Promise<boolean> {
  const body = { model, prompt: [known.tokens.bos], max_tokens: 1, priority: 1 };
  const signal = AbortSignal.timeout(600_000);
  return http.json(route, body, signal).then(
    () => true,
    (error: unknown) => {
      if (error instanceof UpstreamStatusError && error.status === 400) return false;
      throw error;
    },
  );
}

interface Served {
  model: string;
  loras: readonly string[];
  maxSequence: number;
  hasPriority: boolean;
  version: string;
}

export class VllmAdapter implements UpstreamAdapter {
  readonly name: string;
  readonly maxSequence: number;
  readonly slots: number;
  readonly warnings: readonly string[];
  readonly #host: VllmHost;
  readonly #known: KnownModel;
  readonly #log: Logger;
  readonly #served: Served;
  readonly #saltKey = randomBytes(32);
  readonly #timer: NodeJS.Timeout;
  #metrics: VllmMetrics | undefined;
  #stats: Partial<EngineStats> = {};
  #reachable = true;
  #closed = false;

  constructor({ host, model, log, slots, pollMs = 1_000 }: VllmAdapterOptions, served: Served) {
    this.name = `vLLM ${served.version}`.trim();
    this.maxSequence = served.maxSequence;
    this.slots = slots;
    this.warnings = served.hasPriority
      ? []
      : ['this vLLM schedules by arrival (--scheduling-policy priority): priorities change nothing'];
    this.#host = host;
    this.#known = model;
    this.#log = log;
    this.#served = served;
    this.#timer = setInterval(() => void this.look(), pollMs).unref();
  }

  get state(): 'ready' | 'restarting' {
    return this.#host.up && this.#reachable ? 'ready' : 'restarting';
  }

  get loras(): readonly string[] {
    return this.#served.loras;
  }

  get restarts(): number {
    return this.#host.restarts;
  }

  get stats(): Partial<EngineStats> {
    return this.#stats;
  }

  body(request: UpstreamRequest): object {
    const { model, hasPriority } = this.#served;
    return completionBody(request, { model, hasPriority, saltKey: this.#saltKey });
  }

  async run(
    body: object,
    request: UpstreamRequest,
    progress: UpstreamProgress,
    signal: AbortSignal,
  ): Promise<UpstreamEnd> {
    const reader = new ChunkReader(this.#known.pieces, request.logprobs ?? 0);
    let finishReason: string | undefined;
    let cachedTokens: number | undefined;
    const take = (told: Told) => {
      if (told.failed) throw new UpstreamFailedError('vLLM');
      finishReason = told.finishReason ?? finishReason;
      cachedTokens = told.cachedTokens ?? cachedTokens;
      if (told.drawn) progress.onDrawn(told.drawn);
    };
    try {
      if (request.returnExperts) {
        const told = reader.read(await this.#host.http.json(route, body, signal));
        if (told.drawn && !told.drawn.experts) throw new ExpertsUnavailableError();
        progress.onAccepted();
        take(told);
      } else {
        await this.#host.http.events(
          route,
          body,
          signal,
          () => progress.onAccepted(),
          (data) => take(reader.read(data)),
        );
      }
    } catch (error) {
      if (error instanceof UpstreamUnreachableError && !signal.aborted) void this.look();
      throw error;
    }
    if (finishReason !== 'stop' && finishReason !== 'length') {
      // `abort`: it was told to end by somebody else.
      throw new UpstreamUnreachableError(`it ended the answer itself (${finishReason ?? 'no reason given'})`);
    }
    return { reason: finishReason, ...(cachedTokens !== undefined && { cachedTokens }) };
  }

  /** Reads its metrics, which also tells whether it is there. */
  async look(): Promise<void> {
    try {
      const metrics = readMetrics(await this.#host.http.text('/metrics'));
      this.#stats = { ...this.#stats, ...statsOf(metrics, this.#metrics) };
      this.#metrics = metrics;
      this.#tell(true);
    } catch (err) {
      if (this.#closed) return;
      this.#metrics = undefined;
      this.#stats = { ...this.#stats, active: 0, queued: 0, kvUsed: 0 };
      this.#tell(false, err);
    }
  }

  #tell(reachable: boolean, err?: unknown): void {
    if (reachable !== this.#reachable) {
      if (reachable) this.#log.info('vLLM answers again');
      else this.#log.error({ err }, 'vLLM does not answer');
    }
    this.#reachable = reachable;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#host.close();
  }
}
