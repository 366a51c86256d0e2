/** Engines that run already, by the name that `--engine` gives them. */
import type { Logger } from 'pino';
import type { UpstreamOptions } from './http.ts';
import type { UpstreamKind } from './kinds.ts';
import { connectLlamaServer } from './llama-server.ts';
import { UpstreamEngine, type UpstreamEngineOptions } from './upstream-engine.ts';
import { readKnownModel } from './vocabulary.ts';

export interface ConnectOptions extends UpstreamEngineOptions {
  kind: UpstreamKind;
  /** Whose vocabulary prompts are written in: a GGUF of the same model, or a Hugging Face folder. */
  modelPath: string;
  upstream: UpstreamOptions;
  log: Logger;
  /** Longest prompt + answer that one request may have; its own bound where that is less. */
  contextTokens?: number;
}

/** @throws ModelFileError, FileToolError, and what an engine that does not answer gives */
export async function connectUpstream({
  modelPath,
  upstream,
  log,
  maxQueue,
  contextTokens,
}: ConnectOptions): Promise<UpstreamEngine> {
  const model = await readKnownModel(modelPath);
  const adapter = await connectLlamaServer(upstream, model, log, contextTokens);
  return new UpstreamEngine(model, adapter, maxQueue === undefined ? {} : { maxQueue });
}
