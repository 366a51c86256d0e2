/** The shapes of `/v1/responses`, structural and in OpenAI's names. */
import type { SamplingParams } from './chat-types.ts';

/**
 * One item of a response's input.
 *
 * @example
 * const input: ResponseInputItem[] = [
 *   { role: 'user', content: '哈尔滨冷吗?' },
 *   { type: 'function_call_output', call_id: 'call_1', output: '-20' },
 * ];
 */
export type ResponseInputItem =
  | {
      type?: 'message';
      role: 'system' | 'developer' | 'user' | 'assistant';
      content: string | { type: 'input_text' | 'output_text'; text: string }[];
    }
  | { type: 'function_call'; call_id: string; name: string; arguments: string }
  | { type: 'function_call_output'; call_id: string; output: string };

/**
 * The body of `responses.create`.
 *
 * @example
 * const body: ResponseCreateParams = { model: 'huozi', input: '背诵《静夜思》', temperature: 0 };
 */
export interface ResponseCreateParams
  extends Pick<
    SamplingParams,
    | 'temperature'
    | 'top_p'
    | 'top_k'
    | 'min_p'
    | 'repetition_penalty'
    | 'stop_token_ids'
    | 'ignore_eos'
    | 'seed'
    | 'user'
  > {
  model: string;
  input: string | ResponseInputItem[];
  /** The system message. */
  instructions?: string | null | undefined;
  stream?: boolean | null | undefined;
  /** Answered at once, made later: ask for it with `retrieve`. */
  background?: boolean | null | undefined;
  /** Kept, so that it can be asked for and gone on from. */
  store?: boolean | null | undefined;
  previous_response_id?: string | null | undefined;
  max_output_tokens?: number | null | undefined;
  metadata?: Record<string, string> | null | undefined;
  text?:
    | {
        format?:
          | { type: 'text' | 'json_object' }
          | { type: 'json_schema'; name: string; schema: Record<string, unknown>; strict?: boolean | null };
      }
    | undefined;
  tools?:
    | {
        type: 'function';
        name: string;
        description?: string | null;
        parameters: Record<string, unknown> | null;
        strict?: boolean | null;
      }[]
    | undefined;
  tool_choice?: 'auto' | 'none' | 'required' | { type: 'function'; name: string } | undefined;
  parallel_tool_calls?: boolean | null | undefined;
}

/**
 * One item of what the model made: a message, or a call of your function.
 *
 * @example
 * const calls = response.output.filter((item: ResponseOutputItem) => item.type === 'function_call');
 */
export type ResponseOutputItem =
  | {
      type: 'message';
      id: string;
      role: 'assistant';
      status?: string;
      content: { type: 'output_text'; text: string; annotations?: unknown[] }[];
    }
  | { type: 'function_call'; id?: string; call_id: string; name: string; arguments: string; status?: string };

/**
 * A response, whole or on its way.
 *
 * @example
 * if (response.status === 'completed') show(response.output_text);
 */
export interface HuoziResponse {
  id: string;
  object: 'response';
  /** Unix seconds. */
  created_at: number;
  model: string;
  status: 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';
  incomplete_details?: { reason?: string } | null;
  error?: { code: string; message: string } | null;
  output: ResponseOutputItem[];
  /** All text of `output`, put there by the SDK; in a stream, what came so far. */
  output_text: string;
  previous_response_id?: string | null;
  usage?: {
    input_tokens: number;
    output_tokens: number;
    total_tokens: number;
    input_tokens_details?: { cached_tokens?: number };
  } | null;
}

/**
 * One event of a streamed response; `type` says which. Those that carry text are `response.output_text.delta`.
 *
 * @example
 * for await (const event of stream) if (event.type === 'response.output_text.delta') show(event.delta);
 */
export type ResponseEvent =
  | { type: 'response.output_text.delta'; delta: string; item_id?: string; sequence_number?: number }
  | {
      type:
        | 'response.created'
        | 'response.queued'
        | 'response.in_progress'
        | 'response.completed'
        | 'response.incomplete'
        | 'response.failed';
      response: HuoziResponse;
      sequence_number?: number;
    }
  | {
      type:
        | 'response.output_item.added'
        | 'response.output_item.done'
        | 'response.content_part.added'
        | 'response.content_part.done'
        | 'response.output_text.done'
        | 'response.function_call_arguments.delta'
        | 'response.function_call_arguments.done';
      [field: string]: unknown;
    };
