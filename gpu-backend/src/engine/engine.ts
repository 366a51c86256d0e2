import { availableParallelism } from 'node:os';
import { createContext, maxSequences, scratchSequence } from '../native/context.ts';
import { listDevices } from '../native/devices.ts';
import { loadLibrary } from '../native/library.ts';
import type { ModelPlacement } from '../native/placement.ts';
import { Adapters } from './adapters.ts';
import {
  ContinuationError,
  EngineClosedError,
  ExpertsUnavailableError,
  PromptTooLongError,
  UnknownTokenError,
} from './errors.ts';
import { ExpertWatch } from './expert-telemetry.ts';
import { loadModel } from './model.ts';
import { ContextError } from './model-errors.ts';
import { choosePlacement } from './placement.ts';
import { modelFingerprint, restorePrefixes, savePrefixes } from './prefix-files.ts';
import { Scheduler } from './scheduler.ts';
import { Sequence } from './sequence.ts';
import { StepExperts } from './step-experts.ts';
import { Tokenizer } from './tokenizer.ts';
import type { Engine, EngineOptions, GenerationEvents, GenerationRequest } from './types.ts';

const usableIds = Array.from({ length: maxSequences }, (_, id) => id).filter((id) => id !== scratchSequence);
/** Of a step's tokens, those of prompts while others decode: all of them wait for it. */
const besideShare = 1 / 2;

/**
 * Loads a model and makes a context for it.
 * @throws ModelFileError, AdapterError, PlacementError, ContextError, NativeLibraryError, NativeMismatchError; RangeError for impossible options
 */
export async function loadEngine(options: EngineOptions): Promise<Engine> {
  const { slots, contextTokens, batchTokens } = options;
  const threads = options.threads ?? Math.max(1, availableParallelism() - 1);
  const threadsBatch = options.threadsBatch ?? threads;
  requireCount('slots', slots, 1, usableIds.length);
  requireCount('contextTokens', contextTokens, 2, 2 ** 31 - 1);
  requireCount('batchTokens', batchTokens, slots, 2 ** 20);
  requireCount('threads', threads, 1, 512);
  requireCount('threadsBatch', threadsBatch, 1, 512);
  const { maxQueue = 256, maxQueueTokens = 8 * contextTokens, prefixCache = true } = options;
  requireCount('maxQueue', maxQueue, 0, 1_000_000);
  requireCount('maxQueueTokens', maxQueueTokens, 0, Number.MAX_SAFE_INTEGER);

  const { version, backends, devices } = loadLibrary();
  let placement: ModelPlacement = { gpuLayers: 0 };
  const model = await loadModel(options.modelPath, (file) => {
    placement = choosePlacement(file, options, options, listDevices());
    return placement;
  });
  const vocabularySize = model.vocabulary.texts.length;
  const adapters = await Adapters.load(model.native, options.modelPath, options.adapters ?? []).catch(
    (error) => {
      model.native.free();
      throw error;
    },
  );
  const stepExperts = new StepExperts(model.native.layers, model.expertsUsed, batchTokens);
  const context = await createContext(model.native, vocabularySize, {
    contextTokens,
    batchTokens,
    sequences: slots,
    outputs: slots,
    threads,
    threadsBatch,
    onTappedExperts: (layer, experts) => stepExperts.add(layer, experts),
    ...(options.kvTypes && { kvTypes: options.kvTypes }),
    ...(options.flashAttention && { flashAttention: options.flashAttention }),
  });
  if ('failure' in context) {
    model.native.free();
    throw new ContextError(
      `no context of ${contextTokens} tokens for ${options.modelPath}: ${context.failure}`,
    );
  }
  const experts = new ExpertWatch(stepExperts, {
    experts: model.experts,
    sampled: (options.expertTelemetry ?? 'sampled') === 'sampled',
    // Ids are told as bytes.
    tap: model.experts <= 256 ? context.expertTap : undefined,
  });
  const scheduler = new Scheduler(context, {
    experts,
    adapters: adapters.native,
    slots,
    contextTokens,
    batchTokens,
    besideTokens: Math.max(1, Math.floor(batchTokens * besideShare)),
    vocabularySize,
    maxQueue,
    maxQueueTokens,
    prefixCache,
    ids: usableIds,
  });
  const tokenizer = new Tokenizer(model);
  const maxSequence = Math.min(contextTokens, model.native.trainedContext);
  const { bos, eos, begin, end } = model.tokens;
  const { cacheDir, cacheBytes = 2 ** 30 } = options;
  const fingerprint =
    cacheDir === undefined
      ? ''
      : await modelFingerprint(options.modelPath, version, JSON.stringify(options.kvTypes ?? null));
  const restored =
    cacheDir === undefined
      ? undefined
      : await restorePrefixes(cacheDir, fingerprint, scheduler.cache, context);
  const ends = new Set([end, eos]);
  let closing: Promise<void> | undefined;

  return {
    info: {
      modelName: model.name,
      vocabulary: vocabularySize,
      trainedContext: model.native.trainedContext,
      maxSequence,
      layers: model.native.layers,
      experts: model.experts,
      expertsUsed: model.expertsUsed,
      ...(adapters.names.length > 0 && { adapters: adapters.names }),
      tokens: { bos, eos, begin, end },
      library: { version, backends, devices },
      placement: {
        gpuLayers: placement.gpuLayers,
        cpuExpertLayers: placement.cpuExpertLayers ?? 0,
        overridden: model.native.report.overridden,
        buffers: [...model.native.report.buffers, ...context.report.buffers],
      },
      warnings: model.native.report.warnings,
      ...(restored && { restored }),
    },
    get stats() {
      return scheduler.stats;
    },
    tokenize(segments) {
      // The vocabulary is native memory, freed by then.
      if (closing) throw new EngineClosedError();
      return tokenizer.tokenize(segments);
    },
    generate(request: GenerationRequest, events: GenerationEvents) {
      if (request.returnExperts && !experts.isAvailable) throw new ExpertsUnavailableError();
      const index = adapters.indexOf(request.adapter);
      checkPrompt(request, vocabularySize, maxSequence);
      const cells = Math.min(request.promptIds.length + request.maxTokens, maxSequence);
      // Those of another vocabulary never come.
      const asked = request.stopIds.filter((id) => id < vocabularySize);
      const goesPastEos = request.ignoreEos && !request.grammar;
      const stopIds = new Set(goesPastEos ? asked : [...asked, eos, begin, end]);
      const onCancel = () => scheduler.noticeCancel();
      const sequence = new Sequence(request, events, model.pieces, stopIds, cells, onCancel, ends, {
        index,
        cacheSpace: adapters.cacheSpace(request.tenant ?? '', index),
      });
      if (closing) throw new EngineClosedError();
      const { finished } = sequence;
      if (finished) setImmediate(() => sequence.end(finished));
      else scheduler.submit(sequence);
      return sequence;
    },
    expertTelemetry: async () => experts.snapshot(),
    close() {
      closing ??= (async () => {
        await scheduler.close();
        // A full disk must not keep the engine from closing.
        if (cacheDir !== undefined)
          await savePrefixes(cacheDir, fingerprint, scheduler.cache, context, cacheBytes).catch(
            (error: Error) => process.emitWarning(`no prefixes saved in ${cacheDir}: ${error.message}`),
          );
        context.free();
        model.native.free();
      })();
      return closing;
    },
  };
}

function requireCount(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} is ${value}, expected a whole number from ${least} to ${most}`);
}

/** An id that is not in the vocabulary would be refused by llama_decode, together with everybody else's tokens. */
function checkPrompt(
  { promptIds, continueIds = [], maxTokens, sampling }: GenerationRequest,
  vocabularySize: number,
  maxSequence: number,
): void {
  if (promptIds.length === 0) throw new RangeError('the prompt has no tokens');
  if (promptIds.length >= maxSequence) throw new PromptTooLongError(promptIds.length, maxSequence);
  requireCount('maxTokens', maxTokens, 1, Number.MAX_SAFE_INTEGER);
  const known = (id: number) => id >= 0 && id < vocabularySize;
  for (const id of promptIds) if (!known(id)) throw new RangeError(`token ${id} is not in the vocabulary`);
  for (const id of Object.keys(sampling.logit_bias ?? {})) {
    if (!known(Number(id))) throw new UnknownTokenError(Number(id));
  }
  for (const id of continueIds) if (!known(id)) throw new ContinuationError(`there is no token ${id}`);
}
