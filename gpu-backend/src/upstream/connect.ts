/** Engines that run already, by the name that `--engine` gives them. */
import type { Logger } from 'pino';
import type { UpstreamKind } from './kinds.ts';
import { connectLlamaServer } from './llama-server.ts';
import { connectOllama } from './ollama.ts';
import { connectOpenAi } from './openai.ts';
import { TextAdapter, type TextTransport } from './text-adapter.ts';
import { type UpstreamAdapter, UpstreamEngine, type UpstreamEngineOptions } from './upstream-engine.ts';
import { type KnownModel, readKnownModel } from './vocabulary.ts';

export interface ConnectOptions extends UpstreamEngineOptions {
  kind: UpstreamKind;
  /** Whose vocabulary prompts are written in: a GGUF of the same model, or a Hugging Face folder. */
  modelPath: string;
  /** For `huggingface` either this or a model's name. */
  url?: string;
  apiKey?: string;
  /** What the engine calls its model. */
  upstreamModel?: string;
  /** Hugging Face: who computes, and who pays. */
  provider?: string;
  billTo?: string;
  log: Logger;
  /** Longest prompt + answer that one request may have; the engine's own bound where that is known and less. */
  contextTokens?: number;
  /** Requests that it works on at the same time, where it does not say. @default 8 */
  slots?: number;
}

/** @throws ModelFileError, FileToolError, and what an engine that does not answer gives */
export async function connectUpstream(options: ConnectOptions): Promise<UpstreamEngine> {
  const { modelPath, maxQueue } = options;
  const model = await readKnownModel(modelPath);
  const adapter = await adapterOf(options, model);
  return new UpstreamEngine(model, adapter, maxQueue === undefined ? {} : { maxQueue });
}

async function adapterOf(options: ConnectOptions, model: KnownModel): Promise<UpstreamAdapter> {
  const { kind, log, contextTokens = model.trainedContext, slots = 8 } = options;
  const maxSequence = Math.min(contextTokens, model.trainedContext);
  if (kind === 'llama-server') return connectLlamaServer(upstreamOf(options), model, log, maxSequence);
  return new TextAdapter(
    await transportOf(kind, options, model, maxSequence),
    model,
    { maxSequence, slots },
    log,
  );
}

async function transportOf(
  kind: Exclude<UpstreamKind, 'llama-server'>,
  options: ConnectOptions,
  model: KnownModel,
  maxSequence: number,
): Promise<TextTransport> {
  const { upstreamModel, url, apiKey, provider, billTo } = options;
  if (kind === 'openai') return connectOpenAi(upstreamOf(options), model, upstreamModel);
  if (kind === 'ollama') return connectOllama(upstreamOf(options), upstreamModel, maxSequence);
  const { HuggingFaceTransport } = await import('./huggingface.ts');
  return new HuggingFaceTransport({
    ...(url !== undefined && { url }),
    ...(apiKey !== undefined && { apiKey }),
    ...(upstreamModel !== undefined && { model: upstreamModel }),
    ...(provider !== undefined && { provider }),
    ...(billTo !== undefined && { billTo }),
  });
}

function upstreamOf({ url, apiKey }: ConnectOptions): { url: string; apiKey?: string } {
  if (url === undefined) throw new TypeError('no URL');
  return { url, ...(apiKey !== undefined && { apiKey }) };
}
