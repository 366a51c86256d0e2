/** The shapes of chat, structural and in OpenAI's names. */

/**
 * A turn's author, in English or in Huozi's own words.
 *
 * @example
 * const role: ChatRole = '用户';
 */
export type ChatRole = 'system' | 'developer' | 'user' | 'assistant' | '系统' | '用户' | '助手';

/**
 * A piece of a message that comes in pieces.
 *
 * @example
 * const part: ChatTextPart = { type: 'text', text: '你好' };
 */
export interface ChatTextPart {
  type: 'text';
  text: string;
}

/**
 * One turn of the conversation.
 *
 * @example
 * const messages: ChatCompletionMessageParam[] = [
 *   { role: 'system', content: '你是一个智能助手' },
 *   { role: '用户', content: '你好' },
 * ];
 */
export type ChatCompletionMessageParam =
  | {
      role: ChatRole;
      content: string | ChatTextPart[] | null;
      name?: string | undefined;
      tool_calls?: ChatToolCall[] | undefined;
    }
  | { role: 'tool'; content: string | ChatTextPart[]; tool_call_id: string };

/**
 * A call that the model asks for; answer it with a message of the role `tool`.
 *
 * @example
 * const call: ChatToolCall = message.tool_calls![0]!;
 * messages.push(message, { role: 'tool', tool_call_id: call.id, content: run(JSON.parse(call.function.arguments)) });
 */
export interface ChatToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

/**
 * A function that the model may ask you to call.
 *
 * @example
 * const weather: ChatTool = {
 *   type: 'function',
 *   function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
 * };
 */
export interface ChatTool {
  type: 'function';
  function: {
    name: string;
    description?: string | undefined;
    /** JSON Schema. */
    parameters?: Record<string, unknown> | undefined;
    strict?: boolean | null | undefined;
  };
}

/**
 * How the next token is chosen; what only Huozi has stands beside OpenAI's own.
 *
 * @example
 * const careful: SamplingParams = { temperature: 0.2, top_p: 0.9, repetition_penalty: 1.05 };
 * await huozi.chat.completions.create({ model: 'huozi', messages, ...careful });
 */
export interface SamplingParams {
  /** 0 is greedy. */
  temperature?: number | null | undefined;
  top_p?: number | null | undefined;
  /** Keep the k likeliest tokens; 0 is off. (Huozi) */
  top_k?: number | undefined;
  /** Drop tokens less likely than this share of the likeliest; 0 is off. (Huozi) */
  min_p?: number | undefined;
  /** Above 1 discourages what was said; 1 is off. (Huozi) */
  repetition_penalty?: number | undefined;
  presence_penalty?: number | null | undefined;
  frequency_penalty?: number | null | undefined;
  logit_bias?: Record<string, number> | null | undefined;
  seed?: number | null | undefined;
  /** Strings that end the answer and never appear in it. */
  stop?: string | string[] | null | undefined;
  /** Token ids that end the answer, beside the model's own. (Huozi) */
  stop_token_ids?: number[] | undefined;
  /** Go on past the end-of-sequence token. (Huozi) */
  ignore_eos?: boolean | undefined;
  /** Each chunk, or the body, then tells in `routed_experts` which experts its tokens went through. (Huozi) */
  return_routed_experts?: boolean | undefined;
  max_tokens?: number | null | undefined;
  n?: number | null | undefined;
  user?: string | undefined;
  /**
   * A stream asks for its usage by itself and keeps the chunk that carries it; set this to see that chunk.
   */
  stream_options?: { include_usage?: boolean | undefined } | null | undefined;
  /** Whether the edge keeps the streamed answer, so that it can be resumed. @default the client's `resumable` */
  resumable?: boolean | null | undefined;
}

/**
 * The body of `chat.completions.create`.
 *
 * @example
 * const body: ChatCompletionCreateParams = {
 *   model: 'huozi',
 *   messages: [{ role: 'user', content: '你好' }],
 *   temperature: 0.8,
 *   stop_token_ids: [57001],
 * };
 */
export interface ChatCompletionCreateParams extends SamplingParams {
  model: string;
  messages: ChatCompletionMessageParam[];
  stream?: boolean | null | undefined;
  max_completion_tokens?: number | null | undefined;
  logprobs?: boolean | null | undefined;
  top_logprobs?: number | null | undefined;
  response_format?:
    | { type: 'text' | 'json_object' }
    | {
        type: 'json_schema';
        json_schema: {
          name: string;
          description?: string | undefined;
          schema?: Record<string, unknown> | undefined;
          strict?: boolean | null | undefined;
        };
      }
    | undefined;
  tools?: ChatTool[] | undefined;
  tool_choice?: 'auto' | 'none' | 'required' | { type: 'function'; function: { name: string } } | undefined;
}

/**
 * Why an answer ended: by itself, at `max_tokens` or the context, to call tools, or by a filter.
 *
 * @example
 * const reason: FinishReason | null = chunk.choices[0]!.finish_reason;
 * if (reason === 'length') offerMore();
 */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/**
 * One token with its natural logarithm of probability, and the likeliest others in its place.
 *
 * @example
 * const { token, logprob, top_logprobs }: TokenLogprob = logprobs.content![0]!;
 */
export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes: number[] | null;
  top_logprobs: Omit<TokenLogprob, 'top_logprobs'>[];
}

/**
 * How likely each token of the answer was.
 *
 * @example
 * const { content }: ChatLogprobs = completion.choices[0]!.logprobs!;
 * content?.map(({ token, logprob }) => `${token} ${Math.exp(logprob)}`);
 */
export interface ChatLogprobs {
  content: TokenLogprob[] | null;
}

/**
 * Tokens.
 *
 * @example
 * const { prompt_tokens, completion_tokens }: CompletionUsage = stream.usage!;
 */
export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
}

/**
 * What the model said: text, or calls of your tools.
 *
 * @example
 * const message: ChatCompletionMessage = await stream.finalMessage();
 * messages.push(message);
 */
export interface ChatCompletionMessage {
  /** `助手` where the request spoke Chinese roles. */
  role: 'assistant' | '助手';
  content: string | null;
  tool_calls?: ChatToolCall[];
}

/**
 * A whole answer.
 *
 * @example
 * const answer: ChatCompletion = await huozi.chat.completions.create({ model: 'huozi', messages });
 * show(answer.choices[0]?.message.content, answer.usage?.completion_tokens);
 */
export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    message: ChatCompletionMessage;
    finish_reason: FinishReason;
    logprobs?: ChatLogprobs | null;
  }[];
  usage?: CompletionUsage;
  system_fingerprint?: string | null;
  /** As in the chunks of a stream, of all tokens. (Huozi) */
  routed_experts?: string;
}

/**
 * What a chunk adds to a message; a tool call says its id and name once and its arguments in pieces.
 *
 * @example
 * const delta: ChatCompletionDelta | undefined = chunk.choices[0]?.delta;
 * show(delta?.content ?? '');
 */
export interface ChatCompletionDelta {
  role?: 'assistant' | '助手';
  content?: string | null;
  tool_calls?: {
    index: number;
    id?: string;
    type?: 'function';
    function?: { name?: string; arguments?: string };
  }[];
}

/**
 * One event of a streamed chat answer.
 *
 * @example
 * for await (const chunk of stream) show(chunk.choices[0]?.delta.content ?? '');
 */
export interface ChatCompletionChunk {
  id: string;
  object: 'chat.completion.chunk';
  /** Unix seconds. */
  created: number;
  model: string;
  /** Empty in the chunk that carries the usage. */
  choices: {
    index: number;
    delta: ChatCompletionDelta;
    finish_reason: FinishReason | null;
    logprobs?: ChatLogprobs | null;
  }[];
  usage?: CompletionUsage | null;
  system_fingerprint?: string | null;
  /** With `return_routed_experts`: base64 of uint8 [tokens][layers][experts used]. (Huozi) */
  routed_experts?: string;
}
