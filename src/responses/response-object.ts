/** A response as OpenAI shows it: what was asked for, how it stands, and what was said. */
import type { OutputItem } from './items.ts';
import type { ResponseFields } from './response-request.ts';

export type ResponseStatus = 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';

export interface ResponseUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

/** How a response stands. */
export interface Standing {
  status: ResponseStatus;
  /** Unix seconds. */
  completed_at: number | null;
  error: { code: string; message: string } | null;
  incomplete_details: { reason: 'max_output_tokens' } | null;
  output: OutputItem[];
  usage: ResponseUsage | null;
}

/** What does not change while a response is made. */
export type Settings = ReturnType<typeof settingsOf>;
export type ResponseObject = ReturnType<typeof responseObject>;

export const begun: Standing = {
  status: 'in_progress',
  completed_at: null,
  error: null,
  incomplete_details: null,
  output: [],
  usage: null,
};

/** @param createdAt unix seconds */
export function settingsOf(id: string, createdAt: number, fields: ResponseFields) {
  const format = fields.text?.format ?? { type: 'text' as const };
  return {
    id,
    created_at: createdAt,
    model: fields.model,
    instructions: fields.instructions ?? null,
    previous_response_id: fields.previous_response_id ?? null,
    store: fields.store,
    background: fields.background,
    max_output_tokens: fields.max_output_tokens ?? null,
    max_tool_calls: fields.max_tool_calls ?? null,
    temperature: fields.temperature,
    top_p: fields.top_p,
    text: { format, verbosity: 'medium' as const },
    tools: fields.tools.map(({ type, name, description, parameters, strict }) => ({
      type,
      name,
      description: description ?? null,
      parameters: parameters ?? null,
      strict: strict ?? true,
    })),
    tool_choice: fields.tool_choice,
    parallel_tool_calls: fields.parallel_tool_calls,
    top_logprobs: fields.top_logprobs ?? 0,
    truncation: fields.truncation,
    metadata: fields.metadata,
    reasoning: { effort: null, summary: null },
    service_tier: 'default' as const,
    user: fields.user ?? null,
    safety_identifier: fields.safety_identifier ?? null,
    prompt_cache_key: fields.prompt_cache_key ?? null,
  };
}

/** The other way round. */
export function settingsIn(response: ResponseObject): Settings {
  const { object, status, completed_at, error, incomplete_details, output, usage, ...settings } = response;
  return settings;
}

export function responseObject(settings: Settings, standing: Standing) {
  const { id, created_at, ...asked } = settings;
  const { status, completed_at, error, incomplete_details, output, usage } = standing;
  return {
    id,
    object: 'response' as const,
    created_at,
    status,
    completed_at,
    error,
    incomplete_details,
    ...asked,
    output,
    usage,
  };
}
