/** The client of a command, and the options that all commands which ask the model have. */
import { env } from 'node:process';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { SamplingParams } from '../chat-types.ts';
import type { Huozi } from '../client.ts';
import { huoziFromEnv } from '../node.ts';
import { UsageError } from './terminal.ts';

export const clientOptions = { 'base-url': { type: 'string' }, json: { type: 'boolean' } } as const;

export const modelOptions = {
  ...clientOptions,
  model: { type: 'string', short: 'm' },
  system: { type: 'string', short: 's' },
  temperature: { type: 'string', short: 't' },
  'top-p': { type: 'string' },
  'top-k': { type: 'string' },
  'max-tokens': { type: 'string' },
  seed: { type: 'string' },
} as const;

export const modelHelp = `  -m, --model NAME        -s, --system TEXT
  -t, --temperature 0.8   --top-p 0.9   --top-k 40   --max-tokens 512   --seed 7
  --base-url URL          --json`;

type Parsed<Options extends NonNullable<ParseArgsConfig['options']>> = ReturnType<
  typeof parseArgs<{ args: string[]; options: Options; allowPositionals: true; strict: true }>
>;

/** As node:util has it, strict: an unknown option is an error that names it. */
export function parse<const Options extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  options: Options,
): Parsed<Options> {
  return parseArgs({ args, options, allowPositionals: true, strict: true });
}

type Values = { [Name in keyof typeof modelOptions]?: string | boolean };

export function clientOf(values: { 'base-url'?: string | undefined }): Huozi {
  return huoziFromEnv(values['base-url'] ? { baseURL: values['base-url'] } : {});
}

/** What was set, under the API's names. */
export function samplingOf(values: Values): SamplingParams {
  const sampling: Record<string, number> = {};
  for (const option of ['temperature', 'top-p', 'top-k', 'max-tokens', 'seed'] as const) {
    const value = values[option];
    if (value !== undefined) sampling[option.replace('-', '_')] = numberOf(`--${option}`, `${value}`);
  }
  return sampling;
}

export function numberOf(option: string, value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number))
    throw new UsageError(`${option} takes a number, not ${value}`);
  return number;
}

/** Its context, too, where the server tells (ours and vLLM do). */
export async function chosenModel(
  huozi: Huozi,
  named: string | undefined = env.HUOZI_MODEL,
): Promise<{ id: string; contextTokens: number | undefined }> {
  const { data } = await huozi.models.list();
  const model = named ? data.find(({ id }) => id === named) : data[0];
  if (!model) {
    const offered = data.map(({ id }) => id).join(', ') || 'none';
    throw new UsageError(`There is no model ${named ?? 'at all'}; the server offers: ${offered}`);
  }
  return { id: model.id, contextTokens: (model as { max_model_len?: number }).max_model_len };
}
