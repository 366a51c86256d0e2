import type { Logger } from 'pino';
import type { UpstreamOptions } from '../upstream/http.ts';
import { UpstreamEngine, type UpstreamEngineOptions } from '../upstream/upstream-engine.ts';
import { readKnownModel } from '../upstream/vocabulary.ts';
import { connectVllm, type VllmHost } from './adapter.ts';
import { attachTo } from './attach.ts';
import { VllmProcess, type VllmProcessOptions } from './process.ts';

export interface VllmEngineOptions extends UpstreamEngineOptions {
  /** Whose vocabulary prompts are written in: a Hugging Face folder, or a GGUF of the same model. */
  modelPath: string;
  log: Logger;
  /** Sequences that it decodes at the same time. @default 256, vLLM's own */
  slots?: number;
  /** Longest prompt + answer, tokens. @default what the model was trained for, or vLLM allows */
  maxSequence?: number;
  /** One that runs. Absent: one is started. */
  upstream?: UpstreamOptions;
  /** How one is started. */
  start?: Pick<VllmProcessOptions, 'command' | 'args' | 'logFile' | 'restartDelayMs' | 'maxRestartDelayMs'>;
  pollMs?: number;
}

/**
 * vLLM as this node's engine.
 * @throws VllmStartError, ModelFileError, FileToolError, and what a vLLM that does not answer gives
 */
export async function startVllmEngine(options: VllmEngineOptions): Promise<UpstreamEngine> {
  const { modelPath, log, slots = 256, maxSequence, upstream, start, pollMs, maxQueue } = options;
  const model = await readKnownModel(modelPath);
  const host: VllmHost = upstream
    ? attachTo(upstream)
    : await VllmProcess.start({
        ...start,
        model: modelPath,
        log,
        args: [
          ...['--max-num-seqs', String(slots), '--scheduling-policy', 'priority'],
          // Its files' sampling defaults would add to what requests say.
          ...['--generation-config', 'vllm', '--enable-prompt-tokens-details'],
          ...(maxSequence === undefined ? [] : ['--max-model-len', String(maxSequence)]),
          ...(start?.args ?? []),
        ],
      });
  try {
    const adapter = await connectVllm({
      ...{ host, model, log, slots },
      ...(maxSequence !== undefined && { maxSequence }),
      ...(pollMs !== undefined && { pollMs }),
    });
    return new UpstreamEngine(model, adapter, maxQueue === undefined ? {} : { maxQueue });
  } catch (error) {
    await host.close();
    throw error;
  }
}
