/**
 * The engine in a process of its own, behind the interface that the server knows. A failed assertion, a CUDA fault or
 * a step that hangs ends that process and not the server: what ran there ends with EngineLostError, what comes
 * meanwhile is refused with EngineRestartingError, and the process is started again.
 */
import type { Logger } from 'pino';
import { EngineClosedError } from '../engine/errors.ts';
import type {
  EngineInfo,
  EngineOptions,
  EngineStats,
  GenerationEnd,
  GenerationEvents,
  GenerationRequest,
  ServedEngine,
  ServedGeneration,
} from '../engine/types.ts';
import type { ExpertTelemetry, Segment } from '../protocol.ts';
import { EngineChild } from './child.ts';
import { EngineLostError, EngineRestartingError } from './errors.ts';
import type { Entry, FromEngine, ToEngine } from './messages.ts';
import { Watchdog } from './watchdog.ts';
import { fromWire, type WireError } from './wire-error.ts';

export interface EngineProcessOptions {
  log: Logger;
  /** A step, or a prompt to tokenise, that takes longer than this ends the process; milliseconds, 0 waits forever. */
  stepTimeoutMs?: number;
  /** Before the first start after a loss; doubles up to `maxRestartDelayMs`, milliseconds. */
  restartDelayMs?: number;
  maxRestartDelayMs?: number;
}

/** Up for so long, and the next loss is a first one again. */
const steadyMs = 60_000;
/** What closing may take, states saved to disk included. */
const closeMs = 30_000;

interface Call {
  since: number;
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/**
 * Starts the process and loads the model there.
 * @throws what `loadEngine` throws, and ModelFileError if loading ended the process
 */
export async function startEngineProcess(
  options: EngineOptions,
  processOptions: EngineProcessOptions,
): Promise<EngineProcess> {
  const engine = new EngineProcess(options, processOptions);
  await engine.start();
  return engine;
}

export class EngineProcess implements ServedEngine {
  readonly #options: EngineOptions;
  readonly #log: Logger;
  readonly #delays: { first: number; most: number };
  readonly #watchdog: Watchdog;
  readonly #generations = new Map<number, RemoteGeneration>();
  readonly #calls = new Map<number, Call>();
  #child: EngineChild | undefined;
  #ready = false;
  #closing: Promise<void> | undefined;
  #restart: NodeJS.Timeout | undefined;
  #restartAt = 0;
  #losses = 0;
  #upSince = 0;
  #loadMs = 0;
  #ids = 0;
  #info: EngineInfo | undefined;
  #stats: EngineStats | undefined;
  #restarts = 0;
  #residentBytes = 0;

  constructor(
    options: EngineOptions,
    { log, stepTimeoutMs = 120_000, restartDelayMs = 250, maxRestartDelayMs = 30_000 }: EngineProcessOptions,
  ) {
    this.#options = options;
    this.#log = log;
    this.#delays = { first: restartDelayMs, most: maxRestartDelayMs };
    this.#watchdog = new Watchdog(stepTimeoutMs, {
      waitingSince: () => this.#calls.values().next().value?.since,
      stepping: () => (this.#generations.size > 0 ? (this.#stats?.steps ?? 0) : undefined),
      onHang: (ms) => this.#child?.kill(`nothing finished in ${Math.round(ms / 1000)} s`),
    });
  }

  get state(): 'ready' | 'restarting' {
    return this.#ready || this.#closing ? 'ready' : 'restarting';
  }

  /** How often the process was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Resident memory of the engine's process. */
  get residentBytes(): number {
    return this.#residentBytes;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Of the last start; known to everybody who has one of these. */
  get info(): EngineInfo {
    return this.#info!;
  }

  /** As of the last message, a step or half a second old. */
  get stats(): EngineStats {
    return this.#stats!;
  }

  async start(): Promise<void> {
    const begin = performance.now();
    const child = new EngineChild();
    this.#child = child;
    try {
      const { info, stats } = await child.load(this.#options, (message) => this.#receive(message));
      this.#info = info;
      this.#stats = stats;
    } catch (error) {
      child.kill('it could not load the model');
      throw error;
    }
    this.#loadMs = performance.now() - begin;
    this.#upSince = performance.now();
    this.#ready = true;
    this.#watchdog.start();
    void child.ended.then((how) => this.#onEnd(how, child.lastWords));
  }

  async tokenize(segments: readonly Segment[]): Promise<Int32Array> {
    return this.#call((id) => ({ type: 'tokenize', id, segments }));
  }

  async expertTelemetry(): Promise<ExpertTelemetry> {
    return this.#call((id) => ({ type: 'experts', id }));
  }

  #call<T>(message: (id: number) => ToEngine): Promise<T> {
    this.#requireReady();
    return new Promise((resolve, reject) => {
      const id = this.#ids++;
      const call = { since: performance.now(), resolve: (answer: unknown) => resolve(answer as T), reject };
      this.#calls.set(id, call);
      this.#child!.send(message(id));
    });
  }

  generate(request: GenerationRequest, events: GenerationEvents): ServedGeneration {
    this.#requireReady();
    const id = this.#ids++;
    const child = this.#child!;
    const generation = new RemoteGeneration(request.promptIds.length, events, () =>
      child.send({ type: 'cancel', id }),
    );
    if (this.#generations.size === 0) this.#watchdog.stepped();
    this.#generations.set(id, generation);
    try {
      child.send({ type: 'generate', id, request });
    } catch (error) {
      this.#generations.delete(id);
      throw error;
    }
    return generation;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#restart);
    this.#watchdog.stop();
    const child = this.#child;
    if (!child) return;
    child.send({ type: 'close' });
    const late = setTimeout(() => child.kill('it did not close in time'), closeMs);
    await child.ended;
    clearTimeout(late);
  }

  /** @throws EngineRestartingError, EngineClosedError */
  #requireReady(): void {
    if (this.#closing) throw new EngineClosedError();
    if (this.#ready) return;
    const wait = Math.max(0, this.#restartAt - performance.now());
    throw new EngineRestartingError(wait + this.#loadMs);
  }

  #receive(message: FromEngine): void {
    if (message.type === 'alive') this.#residentBytes = message.residentBytes;
    if (message.type !== 'alive' && message.type !== 'turn') return;
    this.#stats = message.stats;
    if (message.type === 'turn') for (const entry of message.entries) this.#dispatch(entry);
  }

  #dispatch(entry: Entry): void {
    const [id, what, ...args] = entry;
    const generation = this.#generations.get(id);
    switch (what) {
      case 'tokens':
      case 'experts':
        this.#calls.get(id)?.resolve(args[0]);
        this.#calls.delete(id);
        return;
      case 'refused': {
        const error = fromWire(args[0] as WireError);
        this.#calls.get(id)?.reject(error);
        this.#calls.delete(id);
        generation?.refuse(error);
        this.#generations.delete(id);
        return;
      }
      case 'accepted':
        generation?.accept();
        return;
      case 'onEnd': {
        const end = args[0] as GenerationEnd;
        if (end.error) end.error = fromWire(end.error as unknown as WireError);
        this.#generations.delete(id);
        this.#tell(generation, what, [end]);
        return;
      }
      default:
        this.#tell(generation, what, args);
    }
  }

  /** A listener that throws loses its own generation and nothing else. */
  #tell(generation: RemoteGeneration | undefined, event: keyof GenerationEvents, args: unknown[]): void {
    try {
      generation?.tell(event, args);
    } catch (err) {
      this.#log.error({ err }, 'a listener of a generation failed');
      generation?.cancel();
    }
  }

  #onEnd(how: string, lastWords: string): void {
    this.#ready = false;
    this.#child = undefined;
    this.#residentBytes = 0;
    this.#watchdog.stop();
    const lost = this.#closing ? new EngineClosedError() : new EngineLostError(how, lastWords);
    for (const { reject } of this.#calls.values()) reject(lost);
    this.#calls.clear();
    const running = [...this.#generations.values()];
    this.#generations.clear();
    if (this.#stats) this.#stats = idle(this.#stats);
    if (!this.#closing) {
      this.#losses = performance.now() - this.#upSince > steadyMs ? 1 : this.#losses + 1;
      this.#log.error({ how, last_words: lastWords, running: running.length }, 'engine lost');
      this.#scheduleRestart();
    }
    for (const generation of running) this.#tell(generation, 'onEnd', [generation.lost(lost)]);
  }

  #scheduleRestart(): void {
    const delay = Math.min(this.#delays.most, this.#delays.first * 2 ** (this.#losses - 1));
    this.#restartAt = performance.now() + delay;
    this.#restart = setTimeout(() => void this.#startAgain(), delay);
  }

  async #startAgain(): Promise<void> {
    try {
      await this.start();
      this.#restarts++;
      this.#log.info({ restarts: this.#restarts, ms: Math.round(this.#loadMs) }, 'engine started again');
    } catch (err) {
      if (this.#closing) return;
      this.#losses++;
      this.#log.error({ err }, 'the engine did not start again');
      this.#scheduleRestart();
    }
  }
}

/** Nothing runs in a process that is gone; sizes and counts stay as they were. */
function idle(stats: EngineStats): EngineStats {
  const nothing = { active: 0, queued: 0, queuedTokens: 0, expectedWaitMs: 0, kvUsed: 0, kvCached: 0 };
  return { ...stats, ...nothing };
}

class RemoteGeneration implements ServedGeneration {
  readonly promptTokens: number;
  readonly accepted: Promise<void>;
  completionTokens = 0;
  accept!: () => void;
  refuse!: (error: Error) => void;
  cancel: () => void;
  readonly #events: GenerationEvents;

  constructor(promptTokens: number, events: GenerationEvents, cancel: () => void) {
    this.promptTokens = promptTokens;
    this.#events = events;
    this.cancel = cancel;
    this.accepted = new Promise((resolve, reject) => {
      this.accept = resolve;
      this.refuse = reject;
    });
    // Who does not wait for it learns of a refusal nowhere else, and that is theirs to decide.
    this.accepted.catch(() => undefined);
  }

  tell(event: keyof GenerationEvents, args: unknown[]): void {
    if (event === 'onText') this.completionTokens = args[2] as number;
    (this.#events[event] as ((...args: unknown[]) => void) | undefined)?.(...args);
  }

  /** What is known of it when its process is gone. */
  lost(error: Error): GenerationEnd {
    this.accept();
    const { promptTokens, completionTokens } = this;
    return { reason: 'error', promptTokens, completionTokens, error };
  }
}
