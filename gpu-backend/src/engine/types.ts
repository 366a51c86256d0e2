/** What the server sees of the engine. Nothing here knows about HTTP, and nothing about koffi. */
import type { Buffer } from '../native/buffers.ts';
import type { EndReason, ExpertTelemetry, Sampling, Segment } from '../protocol.ts';
import type { PlacementOptions } from './placement.ts';

/** A LoRA adapter as llama.cpp's convert_lora_to_gguf.py makes it. */
export interface AdapterFile {
  /** As requests name it. */
  name: string;
  path: string;
  /** Of what it adds. @default 1 */
  scale?: number;
}

export interface EngineOptions extends PlacementOptions {
  modelPath: string;
  /** Sequences that decode at the same time. */
  slots: number;
  /** KV cells shared by all sequences, tokens. */
  contextTokens: number;
  /** Tokens of one `llama_decode`: all decoding sequences first, prefill chunks fill the rest. */
  batchTokens: number;
  /** Default: one fewer than the process may use, at least 1. */
  threads?: number;
  /** Threads of a step of more than one token. Default: `threads`. */
  threadsBatch?: number;
  /** Requests that may wait, beside those for which a slot is free. @default 256 */
  maxQueue?: number;
  /** Prompt tokens that may wait. A prompt longer than that may wait alone. @default 8 × contextTokens */
  maxQueueTokens?: number;
  /** Keep the KV cells of ended sequences, and share those of equal beginnings within a tenant. @default true */
  prefixCache?: boolean;
  /**
   * Folder for cached prefixes: written when the engine closes, read when it loads. The files hold what prompts and
   * answers were computed to, and their token ids: for the owner's eyes only.
   */
  cacheDir?: string;
  /** What that folder may hold, bytes; the most recently used prefixes go first. @default 1 GiB */
  cacheBytes?: number;
  /** Loaded beside the model; a request takes one of them, or none. */
  adapters?: readonly AdapterFile[];
  /** Look into some steps, to count which experts tokens are routed to. @default 'sampled' */
  expertTelemetry?: 'off' | 'sampled';
}

/** What an answer must look like. */
export interface AnswerGrammar {
  /** As llama.cpp has it; its rule `root`. */
  gbnf: string;
  /** Anything goes until this text has come; the grammar is of what follows it. Absent: from the start. */
  trigger?: string;
}

export interface GenerationRequest {
  promptIds: Int32Array;
  sampling: Sampling;
  maxTokens: number;
  stopIds: readonly number[];
  stopStrings: readonly string[];
  /** Go on past eos and the markers. */
  ignoreEos: boolean;
  /** Name of one of the engine's adapters. Absent: the model alone. */
  adapter?: string;
  /** Prefixes are shared within a tenant only, and tenants are served alike. @default '' */
  tenant?: string;
  /** Higher goes first. @default 0 */
  priority?: number;
  /** Milliseconds from now after which it ends with reason `deadline`, wherever it stands. */
  deadlineMs?: number;
  /** No stop id before so many tokens; with a grammar, unless it leaves nothing else. */
  minTokens?: number;
  /** How many alternatives to tell beside each token's log-probability. Absent is off. */
  logprobs?: number;
  /** With one, eos and the end marker always stop. */
  grammar?: AnswerGrammar;
  /**
   * The answer so far. All state is replayed over it, and the next token is drawn at the position after it; none
   * of it is told again, all of it counts in positions, `completionTokens` and `maxTokens`.
   */
  continueIds?: readonly number[];
  /** Tell with each token which experts the position went through that it was drawn from. @default false */
  returnExperts?: boolean;
}

export interface GenerationEnd {
  reason: EndReason;
  promptTokens: number;
  completionTokens: number;
  /** Prompt tokens whose KV was there already. */
  cachedTokens?: number;
  /** How long it waited for a slot and KV cells; absent if they never came. */
  queuedMs?: number;
  /** Tokens since the last `onText`, none of which has text to show. Absent when there are none. */
  ids?: readonly number[];
  /** Of these ids. */
  details?: TokenDetails;
  /** Set when reason is `error`. */
  error?: Error;
}

/** What was asked for beside the tokens themselves, for all `ids` of an event. */
export interface TokenDetails {
  /** With `returnExperts`: `[ids, layers, experts used]`, the expert with the larger router weight first. */
  experts?: Uint8Array;
  /** With `logprobs`: one for each of `ids`, but for the token that ended the answer. */
  logprobs?: readonly TokenLogprob[];
}

interface NamedLogprob {
  token: string;
  logprob: number;
  /** UTF-8, maybe of part of a character; null for tokens that are no text. */
  bytes: number[] | null;
}

/** A token and what stood beside it, in OpenAI's words. Natural logarithms. */
export interface TokenLogprob extends NamedLogprob {
  top_logprobs: NamedLogprob[];
}

/** Called on the event loop, from the step that produced the tokens. One that throws ends its own generation. */
export interface GenerationEvents {
  /**
   * Text that is safe to show: whole characters, no part of a stop string.
   * @param ids tokens since the last call; their text may have been held back until now. All `ids` told one after
   * the other are all tokens of the answer, the one that stopped it included
   * @param position tokens generated so far, `ids` included
   */
  onText(text: string, ids: readonly number[], position: number, details?: TokenDetails): void;
  onEnd(end: GenerationEnd): void;
  /** With `continueIds`: the text that was shown for them, once, before anything else. */
  onContinued?(text: string): void;
}

export interface Generation {
  /** Frees the sequence at the next step, whether queued, in prefill or decoding. Idempotent. */
  cancel(): void;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export interface EngineInfo {
  modelName: string;
  vocabulary: number;
  /** What the model was trained for, tokens. */
  trainedContext: number;
  /** Longest prompt + answer that one request may have here, tokens. */
  maxSequence: number;
  layers: number;
  experts: number;
  expertsUsed: number;
  /** Names of the adapters that requests may take. Absent: none. */
  adapters?: readonly string[];
  tokens: { bos: number; eos: number; begin: number; end: number };
  /** llama.cpp's version, the backend library files in use, devices. */
  library: { version: string; backends: readonly string[]; devices: readonly string[] };
  /** Where weights, KV and the rest came to lie. */
  placement: {
    gpuLayers: number;
    cpuExpertLayers: number;
    /** Tensors that were put elsewhere than the layer around them. */
    overridden: number;
    buffers: readonly Buffer[];
  };
  /** What an operator should know, such as memory that could not be locked. */
  warnings: readonly string[];
  /** What came back from `cacheDir`, and in one line each what did not and why. */
  restored?: { prefixes: number; tokens: number; ignored: readonly string[] };
}

export interface EngineStats {
  slots: number;
  active: number;
  queued: number;
  /** Prompt tokens of what is queued. */
  queuedTokens: number;
  /** Estimate for a request that came now, from measured throughput: until its prompt's turn, ms. */
  expectedWaitMs: number;
  /** Moving average; 0 before anything was measured. */
  prefillTokensPerSecond: number;
  /** How long an answer of the usual length holds its slot when all are taken; 0 before the first. */
  answerSeconds: number;
  /** KV cells that running sequences have reserved; shared ones count once. */
  kvUsed: number;
  /** KV cells of cached prefixes that nobody runs on: free for the asking. */
  kvCached: number;
  kvTotal: number;
  /** Since start: decode steps, the time in them, and the tokens of prompts and of answers that went through. */
  steps: number;
  stepMs: number;
  prefillTokens: number;
  decodeTokens: number;
}

export interface Engine {
  readonly info: EngineInfo;
  readonly stats: EngineStats;
  /** Token ids of a prompt. No text segment can yield bos, eos or a marker. */
  tokenize(segments: readonly Segment[]): Int32Array;
  /**
   * Throws PromptTooLongError, UnknownAdapterError, ContinuationError, UnknownTokenError, InvalidGrammarError, ExpertsUnavailableError,
   * QueueFullError, EngineClosedError; everything
   * later is told through `events`.
   */
  generate(request: GenerationRequest, events: GenerationEvents): Generation;
  /** Which experts tokens were routed to so far. */
  expertTelemetry(): Promise<ExpertTelemetry>;
  close(): Promise<void>;
}

/** A generation of an engine in another process: whether it is taken shows later. */
export interface ServedGeneration extends Generation {
  /** Rejects with what `generate` would have thrown here; then no event comes. Absent where `generate` has thrown it. */
  readonly accepted?: Promise<void>;
}

/** What the server uses: an `Engine` here, or one in a process of its own, which can be lost and come back. */
export interface ServedEngine extends Omit<Engine, 'tokenize' | 'generate'> {
  /** Absent where an engine lost is a process lost. */
  readonly state?: 'ready' | 'restarting';
  /** How often its process was started again. */
  readonly restarts?: number;
  /** Resident memory of its process. */
  readonly residentBytes?: number;
  tokenize(segments: readonly Segment[]): Int32Array | Promise<Int32Array>;
  generate(request: GenerationRequest, events: GenerationEvents): ServedGeneration;
}
