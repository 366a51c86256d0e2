/** How to generate: what the person set; whatever is absent is the edge's own default. */
import { stored } from '../../stored.ts';

/** The fields of the API with their bounds, as src/generation-fields.ts has them. */
export const samplingFields = [
  { name: 'temperature', min: 0, max: 2, step: 0.1, usual: '0.8' },
  { name: 'top_p', min: 0, max: 1, step: 0.05, usual: '0.9' },
  { name: 'top_k', min: -1, max: 1_000, step: 1, usual: '0' },
  { name: 'min_p', min: 0, max: 1, step: 0.01, usual: '0' },
  { name: 'max_tokens', min: 1, max: 1_000_000, step: 1, usual: '' },
  { name: 'seed', min: undefined, max: undefined, step: 1, usual: '' },
  { name: 'repetition_penalty', min: 0.1, max: 2, step: 0.05, usual: '1' },
  { name: 'presence_penalty', min: -2, max: 2, step: 0.1, usual: '0' },
  { name: 'frequency_penalty', min: -2, max: 2, step: 0.1, usual: '0' },
] as const;

export type SamplingField = (typeof samplingFields)[number]['name'];

export interface Settings {
  /** '' takes the first that the edge lists. */
  model: string;
  sampling: Partial<Record<SamplingField, number>>;
  /** Further fields, a JSON object as text. */
  extra: string;
}

export const initialSettings: Settings = { model: '', sampling: {}, extra: '' };

export const settings = stored<Settings>('huozi.settings', initialSettings, (value) => {
  const { model, sampling, extra } = Object(value);
  return typeof model === 'string' && typeof extra === 'string' && typeof Object(sampling) === 'object';
});

/** @returns undefined for what is no JSON object; an empty text is an empty one */
export function parseExtra(text: string): Record<string, unknown> | undefined {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
