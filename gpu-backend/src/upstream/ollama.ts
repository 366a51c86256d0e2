/** Ollama, in its `raw` mode: its own template stays out of it, and the prompt is ours. */
import { z } from 'zod';
import { UpstreamFailedError, UpstreamMalformedError } from './errors.ts';
import { UpstreamHttp, type UpstreamOptions } from './http.ts';
import type { TextPiece, TextRequest, TextTransport } from './text-adapter.ts';

const tags = z.looseObject({ models: z.array(z.looseObject({ name: z.string() })) });
const line = z.looseObject({
  response: z.optional(z.string()),
  done: z.optional(z.boolean()),
  done_reason: z.optional(z.string()),
  eval_count: z.optional(z.int()),
  error: z.optional(z.string()),
});

/**
 * @param name of its model; absent: the first that it lists
 * @param maxSequence what it shall keep room for: by itself it cuts prompts at 4,096 tokens
 * @throws UpstreamUnreachableError, UpstreamStatusError, UpstreamMalformedError
 */
export async function connectOllama(
  options: UpstreamOptions,
  name: string | undefined,
  maxSequence: number,
): Promise<TextTransport> {
  const http = new UpstreamHttp(options);
  try {
    const model = name ?? tags.safeParse(await http.json('/api/tags')).data?.models[0]?.name;
    if (model === undefined)
      throw new UpstreamMalformedError(`${options.url} has no model: ollama create one`);
    return new OllamaTransport(http, model, maxSequence);
  } catch (error) {
    await http.close();
    throw error;
  }
}

class OllamaTransport implements TextTransport {
  readonly name = 'Ollama';
  readonly takesIds = false;
  readonly honours: TextTransport['honours'] = new Set([
    ...(['top_k', 'min_p', 'typical_p'] as const),
    ...(['repetition_penalty', 'presence_penalty', 'frequency_penalty'] as const),
  ]);
  readonly #http: UpstreamHttp;
  readonly #model: string;
  readonly #maxSequence: number;

  constructor(http: UpstreamHttp, model: string, maxSequence: number) {
    this.#http = http;
    this.#model = model;
    this.#maxSequence = maxSequence;
  }

  body({ prompt, maxTokens, sampling, stop }: TextRequest): object {
    const { temperature, top_p, top_k, min_p, typical_p = 1, seed } = sampling;
    const { repetition_penalty, presence_penalty, frequency_penalty } = sampling;
    return {
      model: this.#model,
      prompt,
      raw: true,
      stream: true,
      // Else it leaves out the middle of what has no room, and says nothing.
      truncate: false,
      shift: false,
      options: {
        ...{ temperature, top_p, top_k, min_p, typical_p, seed, presence_penalty, frequency_penalty },
        repeat_penalty: repetition_penalty,
        repeat_last_n: -1,
        num_predict: maxTokens,
        num_ctx: this.#maxSequence,
        stop,
      },
    };
  }

  async send(
    body: object,
    signal: AbortSignal,
    onOpen: () => void,
    onPiece: (piece: TextPiece) => void,
  ): Promise<void> {
    await this.#http.lines('/api/generate', body, signal, onOpen, (data) => onPiece(pieceOf(data)));
  }

  ask(): Promise<unknown> {
    return this.#http.json('/api/version');
  }

  close(): Promise<void> {
    return this.#http.close();
  }
}

function pieceOf(data: unknown): TextPiece {
  const told = line.safeParse(data);
  if (!told.success) throw new UpstreamMalformedError('Ollama told something else than an answer');
  const { response = '', done, done_reason, eval_count, error } = told.data;
  if (error !== undefined) throw new UpstreamFailedError('Ollama');
  return {
    text: response,
    ...(done && { finish: done_reason === 'length' ? 'length' : 'stop' }),
    ...(eval_count !== undefined && { completionTokens: eval_count }),
  };
}
