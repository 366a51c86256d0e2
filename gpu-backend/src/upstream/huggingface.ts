/** Hugging Face: a dedicated Inference Endpoint by its URL, or a provider's model by its name. */
import { textGenerationStream } from '@huggingface/inference';
import {
  UpstreamFailedError,
  UpstreamMalformedError,
  UpstreamStatusError,
  UpstreamUnreachableError,
} from './errors.ts';
import { pieceOf } from './openai.ts';
import type { TextPiece, TextRequest, TextTransport } from './text-adapter.ts';

export interface HuggingFaceOptions {
  apiKey?: string;
  /** Of an endpoint; without one, `model` and `provider` say who answers. */
  url?: string;
  model?: string;
  provider?: string;
  /** Organisation that pays. */
  billTo?: string;
}

/** TGI takes no more. What is left over is found in the text. */
const mostStops = 4;

export class HuggingFaceTransport implements TextTransport {
  readonly name = 'Hugging Face';
  readonly takesIds = false;
  /** TGI passes over what it does not know without a word, so nothing is sent that it may not. */
  readonly honours: TextTransport['honours'] = new Set(['repetition_penalty', 'frequency_penalty'] as const);
  readonly #options: HuggingFaceOptions;

  constructor(options: HuggingFaceOptions) {
    this.#options = options;
  }

  body({ prompt, maxTokens, sampling, stop }: TextRequest): object {
    const { temperature, top_p, seed, repetition_penalty, frequency_penalty } = sampling;
    return {
      inputs: prompt,
      parameters: {
        max_new_tokens: maxTokens,
        ...{ temperature, seed },
        ...(temperature > 0 && top_p < 1 && { top_p }),
        ...(repetition_penalty !== 1 && { repetition_penalty }),
        ...(frequency_penalty !== 0 && { frequency_penalty }),
        stop: stop.slice(0, mostStops),
      },
    };
  }

  async send(
    body: object,
    signal: AbortSignal,
    onOpen: () => void,
    onPiece: (piece: TextPiece) => void,
  ): Promise<void> {
    const { apiKey, url, model = 'tgi', provider, billTo } = this.#options;
    let refused: UpstreamStatusError | undefined;
    const fetchOnce: typeof fetch = async (input, init) => {
      const response = await fetch(input, { ...init, redirect: 'error' });
      const after = Number(response.headers.get('retry-after') ?? Number.NaN);
      const { status } = response;
      if (response.ok) onOpen();
      else
        refused = new UpstreamStatusError(
          status,
          'it says no',
          Number.isFinite(after) ? after * 1000 : undefined,
        );
      return response;
    };
    const chunks = textGenerationStream(
      {
        ...(body as { inputs: string }),
        model,
        ...(apiKey !== undefined && { accessToken: apiKey }),
        ...(url === undefined
          ? provider !== undefined && { provider: provider as 'hf-inference' }
          : { endpointUrl: url }),
      },
      { retry_on_error: false, fetch: fetchOnce, signal, ...(billTo !== undefined && { billTo }) },
    );
    try {
      for await (const chunk of chunks) onPiece(pieceOf(chunk));
    } catch (error) {
      if (error instanceof UpstreamMalformedError || error instanceof UpstreamFailedError) throw error;
      // The library's own errors hold the request, with its token.
      throw refused ?? new UpstreamUnreachableError('Hugging Face was cut off, or never answered');
    }
  }

  /** Nothing is asked for nothing: it bills. */
  async ask(): Promise<void> {}

  async close(): Promise<void> {}
}
