/**
 * Any server with OpenAI's `/v1/completions`: SGLang, text-generation-webui, TGI, `transformers serve`, … What it takes
 * is tried when the node starts: prompts as token ids or as text, and the fields that most of them have beyond OpenAI's.
 */
import { z } from 'zod';
import {
  UpstreamFailedError,
  UpstreamMalformedError,
  UpstreamStatusError,
  UpstreamUnreachableError,
} from './errors.ts';
import { UpstreamHttp, type UpstreamOptions } from './http.ts';
import type { TextPiece, TextRequest, TextTransport } from './text-adapter.ts';
import { Turns } from './turns.ts';
import type { KnownModel } from './vocabulary.ts';

const route = '/v1/completions';
/** OpenAI takes no more. What is left over is found in the text. */
const mostStops = 4;
const modelList = z.looseObject({ data: z.array(z.looseObject({ id: z.string() })) });
const chunk = z.looseObject({
  choices: z.optional(
    z.array(z.looseObject({ text: z.nullish(z.string()), finish_reason: z.nullish(z.string()) })),
  ),
  usage: z.nullish(z.looseObject({ completion_tokens: z.optional(z.int()) })),
  error: z.optional(z.unknown()),
});

/**
 * @param name as the server calls its model; absent: the first that it lists
 * @throws UpstreamUnreachableError, UpstreamStatusError, UpstreamMalformedError
 */
export async function connectOpenAi(
  options: UpstreamOptions,
  known: KnownModel,
  name: string | undefined,
): Promise<TextTransport> {
  const http = new UpstreamHttp(options);
  try {
    const model = name ?? modelList.safeParse(await http.json('/v1/models')).data?.data[0]?.id;
    if (model === undefined) throw new UpstreamMalformedError(`${options.url} lists no model: name one`);
    let refusal: unknown;
    let isTransformers = false;
    for (const prompt of [[known.tokens.bos], '好'] as const) {
      for (const isWide of [true, false]) {
        const probe = { ...bodyOf(model, isWide, { ...leastRequest, prompt }), stream: false };
        try {
          await http.json(route, probe, AbortSignal.timeout(600_000));
          return new OpenAiTransport(http, model, {
            ...{ isWide, takesIds: typeof prompt !== 'string', isTransformers },
          });
        } catch (error) {
          if (!(error instanceof UpstreamStatusError) || error.status === 401 || error.status === 404)
            throw error;
          refusal = error;
          isTransformers ||= error.message.includes(transformersRefusal);
        }
      }
    }
    throw refusal;
  } catch (error) {
    await http.close();
    throw error;
  }
}

/**
 * How `transformers serve` refuses a field. It takes OpenAI's penalties and `logit_bias` and passes them over, or does
 * something else with them. All its answers draw from one generator, which a request seeds when it comes in and not when
 * it is answered: a seed holds only where no other request comes before its answer's end. So they go there one at a time,
 * as it works on them anyway.
 */
const transformersRefusal = 'Unexpected fields in the request';

const leastRequest: Omit<TextRequest, 'prompt'> = {
  maxTokens: 1,
  sampling: {
    ...{ temperature: 1, top_p: 0.9, top_k: 0, min_p: 0, seed: 1 },
    ...{ repetition_penalty: 1, presence_penalty: 0, frequency_penalty: 0 },
  },
  stop: ['</s>'],
};

interface Abilities {
  /** It knows fields beyond OpenAI's. */
  isWide: boolean;
  takesIds: boolean;
  isTransformers: boolean;
}

class OpenAiTransport implements TextTransport {
  readonly name: string;
  readonly takesIds: boolean;
  readonly honours: TextTransport['honours'];
  readonly slots: number | undefined;
  readonly #turns: Turns | undefined;
  readonly #http: UpstreamHttp;
  readonly #model: string;
  readonly #isWide: boolean;

  constructor(http: UpstreamHttp, model: string, { isWide, takesIds, isTransformers }: Abilities) {
    this.name = `the completions server at ${new URL(http.url).host}`;
    this.takesIds = takesIds;
    this.honours = new Set([
      ...(isTransformers ? [] : (['presence_penalty', 'frequency_penalty', 'logit_bias'] as const)),
      ...(isWide ? (['top_k', 'min_p', 'repetition_penalty'] as const) : []),
    ]);
    if (isTransformers) {
      this.slots = 1;
      this.#turns = new Turns();
    }
    this.#http = http;
    this.#model = model;
    this.#isWide = isWide;
  }

  body(request: TextRequest): object {
    return bodyOf(this.#model, this.#isWide, request);
  }

  send(
    body: object,
    signal: AbortSignal,
    onOpen: () => void,
    onPiece: (piece: TextPiece) => void,
  ): Promise<void> {
    const turns = this.#turns;
    if (!turns) return this.#send(body, signal, onOpen, onPiece);
    // It takes all that come, and would let this one wait.
    if (turns.taken) onOpen();
    return turns.take(signal, async () => {
      try {
        await this.#send(body, signal, onOpen, onPiece);
      } finally {
        if (signal.aborted) await this.#rest();
      }
    });
  }

  /** An answer that was broken off may draw once more. Its one thread answers this when that is over. */
  async #rest(): Promise<void> {
    const least = { ...bodyOf(this.#model, this.#isWide, { ...leastRequest, prompt: '好' }), stream: false };
    await this.#http.json(route, least, AbortSignal.timeout(600_000)).catch(() => undefined);
  }

  async #send(
    body: object,
    signal: AbortSignal,
    onOpen: () => void,
    onPiece: (piece: TextPiece) => void,
  ): Promise<void> {
    let isWhole = false;
    try {
      await this.#http.events(route, body, signal, onOpen, (data) => {
        const piece = pieceOf(data);
        isWhole ||= piece.finish !== undefined;
        onPiece(piece);
      });
    } catch (error) {
      // `transformers serve` ends its stream without a `[DONE]`.
      if (!isWhole || !(error instanceof UpstreamUnreachableError)) throw error;
    }
  }

  ask(): Promise<unknown> {
    return this.#http.json('/v1/models');
  }

  close(): Promise<void> {
    return this.#http.close();
  }
}

function bodyOf(model: string, isWide: boolean, { prompt, maxTokens, sampling, stop }: TextRequest): object {
  const { temperature, top_p, seed, logit_bias, presence_penalty, frequency_penalty } = sampling;
  const { top_k, min_p, repetition_penalty } = sampling;
  return {
    ...{ model, prompt, max_tokens: maxTokens, temperature, seed, stream: true },
    // TGI takes neither 1 nor any beside temperature 0.
    ...(temperature > 0 && top_p < 1 && { top_p }),
    stop: stop.slice(0, mostStops),
    ...(presence_penalty !== 0 && { presence_penalty }),
    ...(frequency_penalty !== 0 && { frequency_penalty }),
    ...(logit_bias && { logit_bias }),
    ...(isWide && {
      ...(top_k > 0 && { top_k }),
      ...(min_p > 0 && { min_p }),
      ...(repetition_penalty !== 1 && { repetition_penalty }),
      // Else markers would be left out of the text, and nothing would stop at them.
      skip_special_tokens: false,
      stream_options: { include_usage: true },
    }),
  };
}

/** @throws UpstreamMalformedError, UpstreamFailedError */
export function pieceOf(data: unknown): TextPiece {
  const told = chunk.safeParse(data);
  if (!told.success) throw new UpstreamMalformedError('it told something else than a completion');
  const { choices = [], usage, error } = told.data;
  if (error) throw new UpstreamFailedError('the completions server');
  const [first] = choices;
  const reason = first?.finish_reason;
  return {
    text: first?.text ?? '',
    ...(reason && { finish: reason === 'length' ? 'length' : 'stop' }),
    ...(usage?.completion_tokens !== undefined && { completionTokens: usage.completion_tokens }),
  };
}
