/** `--engine` and what belongs to it: which engine a node fronts, and where that runs. */
import { readFileSync } from 'node:fs';
import type { AdapterFile, ServedEngine } from '../engine/types.ts';
import type { EngineContext } from '../index.ts';
import { type UpstreamKind, upstreamEngines } from '../upstream/kinds.ts';
import { UsageError, wholeNumber } from './command.ts';

export const engineFlags = {
  engine: { type: 'string', default: 'llama.cpp' },
  upstream: { type: 'string' },
  'upstream-key-file': { type: 'string' },
  'upstream-model': { type: 'string' },
  provider: { type: 'string' },
  'bill-to': { type: 'string' },
  'tensor-parallel-size': { type: 'string' },
  'pipeline-parallel-size': { type: 'string' },
  'data-parallel-size': { type: 'string' },
  'enable-expert-parallel': { type: 'boolean' },
  'engine-command': { type: 'string' },
  'engine-log': { type: 'string' },
} as const;

export const engineHelp = `  --engine NAME          llama.cpp: in this node (default); vllm: a vLLM that this node
                         starts, watches and ends, or one that --upstream names;
                         llama-server, openai (any server with /v1/completions),
                         ollama, huggingface: one that --upstream names
  --upstream URL         engine that runs already, such as http://10.0.0.5:8000; --model
                         is then only read for its vocabulary. With vllm --context is the
                         longest prompt and answer of one request
  --upstream-key-file F  file that holds the key it asks for
  --upstream-model NAME  what it calls its model (default: the first that it lists)
  --provider NAME, --bill-to NAME
                         huggingface without --upstream: who computes, and who pays
  --tensor-parallel-size N, --pipeline-parallel-size N, --data-parallel-size N,
  --enable-expert-parallel
                         as vLLM has them; plan --engine vllm says which fit
  --engine-command CMD   what starts vLLM, split at spaces (default vllm)
  --engine-log FILE      where vLLM's output is kept (default: a temporary file, named in the log)
  -- FLAGS               go to vllm serve as they are
`;

type Values = { [name in keyof typeof engineFlags]?: string | boolean | undefined };

/**
 * @param extra what stood after `--`
 * @returns how to load it; undefined for our own
 */
export function parseEngine(
  values: Values,
  extra: readonly string[],
  context: number | undefined,
  adapters: readonly AdapterFile[] = [],
): ((given: EngineContext) => Promise<ServedEngine>) | undefined {
  const text = (name: keyof typeof engineFlags) => values[name] as string | undefined;
  const engine = text('engine');
  const upstreamUrl = text('upstream');
  const parallel = (['tensor', 'pipeline', 'data'] as const).flatMap((kind) => {
    const option = `${kind}-parallel-size` as const;
    const value = text(option);
    return value === undefined ? [] : [`--${option}`, String(wholeNumber(option, value, 1, 4096))];
  });
  const before = [...parallel, ...(values['enable-expert-parallel'] ? ['--enable-expert-parallel'] : [])];
  const given = [...before, ...(adapters.length > 0 ? ['--lora'] : []), ...extra];
  if (engine === 'llama.cpp') {
    const other = [
      ...parallel.slice(0, 1),
      ...(upstreamUrl === undefined ? [] : ['--upstream']),
      ...extra,
    ][0];
    if (other !== undefined) throw new UsageError(`${other} belongs to another --engine`);
    return undefined;
  }
  if (isUpstreamKind(engine)) {
    const named = engine === 'huggingface' && text('upstream-model') !== undefined;
    if (upstreamUrl === undefined && !named) throw new UsageError(`--engine ${engine} needs --upstream`);
    if (given.length > 0) throw new UsageError(`${given[0]} is for a vLLM that this node starts`);
    const { url, apiKey } = upstreamOf(upstreamUrl, text('upstream-key-file'));
    const upstreamModel = text('upstream-model');
    const provider = text('provider');
    const billTo = text('bill-to');
    return async ({ modelPath, log, maxQueue, slots }) => {
      const { connectUpstream } = await import('../upstream/connect.ts');
      return connectUpstream({
        ...{ kind: engine, modelPath, log },
        ...(url !== undefined && { url }),
        ...(apiKey !== undefined && { apiKey }),
        ...(upstreamModel !== undefined && { upstreamModel }),
        ...(provider !== undefined && { provider }),
        ...(billTo !== undefined && { billTo }),
        ...(slots !== undefined && { slots }),
        ...(maxQueue !== undefined && { maxQueue }),
        ...(context !== undefined && { contextTokens: context }),
      });
    };
  }
  if (engine !== 'vllm') {
    const known = ['llama.cpp', 'vllm', ...upstreamEngines].join(', ');
    throw new UsageError(`--engine takes ${known}, not "${engine}"`);
  }
  if (adapters.some(({ scale }) => scale !== undefined)) {
    throw new UsageError(
      '--lora-scale belongs to --engine llama.cpp: vLLM has the scale in the adapter itself',
    );
  }
  if (upstreamUrl !== undefined && given.length > 0) {
    throw new UsageError(`${given[0]} is for a vLLM that this node starts; --upstream runs already`);
  }
  const upstream =
    upstreamUrl === undefined
      ? undefined
      : { url: '', ...upstreamOf(upstreamUrl, text('upstream-key-file')) };
  const command = text('engine-command')?.split(' ').filter(Boolean);
  const logFile = text('engine-log');
  return async ({ modelPath, log, slots, maxQueue }) => {
    const { startVllmEngine } = await import('../vllm/engine.ts');
    const { loraArgs } = await import('../vllm/lora-args.ts');
    const args = [...before, ...(await loraArgs(adapters)), ...extra];
    return startVllmEngine({
      ...{ modelPath, log },
      ...(slots !== undefined && { slots }),
      ...(maxQueue !== undefined && { maxQueue }),
      ...(context !== undefined && { maxSequence: context }),
      ...(upstream
        ? { upstream }
        : { start: { args, ...(command && { command }), ...(logFile !== undefined && { logFile }) } }),
    });
  };
}

function isUpstreamKind(engine: string | undefined): engine is UpstreamKind {
  return upstreamEngines.some((one) => one === engine);
}

function upstreamOf(url: string | undefined, keyFile: string | undefined): { url?: string; apiKey?: string } {
  if (url !== undefined && !/^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(url)) {
    throw new UsageError('--upstream takes a URL such as http://10.0.0.5:8000, without query or password');
  }
  // The routes' own /v1 is often pasted along.
  const base = url === undefined ? {} : { url: url.replace(/\/+$/, '').replace(/\/v1$/, '') };
  if (keyFile === undefined) return base;
  try {
    return { ...base, apiKey: readFileSync(keyFile, 'utf8').trim() };
  } catch (error) {
    throw new UsageError(`cannot read the upstream's key: ${(error as Error).message}`);
  }
}
