/** One answer of a dedicated Hugging Face Inference Endpoint, as it comes. Only here does its token meet a URL. */
import type { Parameters } from './parameters.ts';
import type { Endpoint } from './settings.ts';
import { textGenerationStream } from './text-generation-stream.ts';

export interface Piece {
  text: string;
  /** Why the answer ended; '' as long as it has not. */
  finish: string;
  usage: { prompt_tokens: number; completion_tokens: number } | undefined;
}

/** The endpoint did not answer, or not with what it should. Holds nothing of what was sent. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError';
}

/**
 * Throws an EndpointError, also in the middle.
 * @param onAccepted the endpoint has begun to answer
 */
export async function* askEndpoint(
  endpoint: Endpoint,
  prompt: string,
  { parameters }: Parameters,
  signal: AbortSignal,
  onAccepted: () => void,
): AsyncGenerator<Piece> {
  const { url, token, model } = endpoint;
  let status = 0;
  const fetchOnce: typeof fetch = async (input, init) => {
    // A redirect would carry the prompt, and perhaps the token, to wherever it points.
    const response = await fetch(input, { ...init, redirect: 'manual' });
    status = response.status;
    if (response.ok) onAccepted();
    return response;
  };
  const chunks = textGenerationStream(
    { endpointUrl: url, accessToken: token, model, inputs: prompt, parameters },
    // By itself it tries again for as long as it hears 503.
    { retry_on_error: false, fetch: fetchOnce, signal },
  );
  try {
    for await (const chunk of chunks) yield pieceOf(chunk);
  } catch (error) {
    // The library's own errors hold the request, with its token.
    const what = status === 200 ? 'mid-answer' : status === 0 ? 'unreachable' : String(status);
    throw error instanceof EndpointError ? error : new EndpointError(what);
  }
}

function pieceOf(chunk: unknown): Piece {
  const { choices, usage } = chunk as { choices?: unknown; usage?: unknown };
  const choice = Array.isArray(choices) ? choices[0] : undefined;
  const text: unknown = choice?.text ?? '';
  if (!Array.isArray(choices) || typeof text !== 'string') throw new EndpointError('not a completion');
  return { text, finish: String(choice?.finish_reason ?? ''), usage: usageOf(usage) };
}

function usageOf(usage: unknown): Piece['usage'] {
  const { prompt_tokens, completion_tokens } = (usage ?? {}) as Record<string, unknown>;
  const counts = [prompt_tokens, completion_tokens];
  if (!counts.every((count) => Number.isSafeInteger(count) && Number(count) >= 0)) return undefined;
  return { prompt_tokens: Number(prompt_tokens), completion_tokens: Number(completion_tokens) };
}
