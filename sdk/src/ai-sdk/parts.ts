/** From a stream's chunks to the AI SDK's parts. */
import type {
  JSONObject,
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3Warning,
} from '@ai-sdk/provider';
import type { ChatCompletionChunk, CompletionUsage, FinishReason } from '../chat-types.ts';
import type { ChatStream } from '../stream.ts';

/** Its cancel closes the connection. */
export function parts(
  stream: ChatStream,
  warnings: SharedV3Warning[],
  includeRaw = false,
): ReadableStream<LanguageModelV3StreamPart> {
  const iterator = partsOf(stream, warnings, includeRaw);
  return new ReadableStream<LanguageModelV3StreamPart>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => stream.abort(),
  });
}

async function* partsOf(
  stream: ChatStream,
  warnings: SharedV3Warning[],
  includeRaw: boolean,
): AsyncGenerator<LanguageModelV3StreamPart, undefined> {
  yield { type: 'stream-start', warnings };
  const textId = 'text';
  let isTalking = false;
  let hasBegun = false;
  /** Id of the call whose input streams. */
  let calling: string | undefined;
  try {
    for await (const chunk of stream) {
      if (includeRaw) yield { type: 'raw', rawValue: chunk };
      if (!hasBegun) {
        hasBegun = true;
        yield metadataOf(chunk);
      }
      const delta = chunk.choices[0]?.delta;
      if (delta?.content) {
        if (!isTalking) yield { type: 'text-start', id: textId };
        isTalking = true;
        yield { type: 'text-delta', id: textId, delta: delta.content };
      }
      for (const call of delta?.tool_calls ?? []) {
        if (call.id && call.function?.name) {
          if (calling) yield { type: 'tool-input-end', id: calling };
          calling = call.id;
          yield { type: 'tool-input-start', id: calling, toolName: call.function.name };
        }
        if (calling && call.function?.arguments) {
          yield { type: 'tool-input-delta', id: calling, delta: call.function.arguments };
        }
      }
    }
  } catch (error) {
    // What was begun is not ended as if it were whole.
    yield { type: 'error', error };
    yield { type: 'finish', finishReason: { unified: 'error', raw: undefined }, usage: usageOf(undefined) };
    return;
  }
  if (isTalking) yield { type: 'text-end', id: textId };
  if (calling) yield { type: 'tool-input-end', id: calling };
  const { message, finish_reason } = stream.snapshot!.choices[0]!;
  for (const { id, function: call } of message.tool_calls ?? []) {
    yield { type: 'tool-call', toolCallId: id, toolName: call.name, input: call.arguments };
  }
  yield { type: 'finish', finishReason: finishOf(finish_reason), usage: usageOf(stream.usage) };
}

function metadataOf({ id, model, created }: ChatCompletionChunk): LanguageModelV3StreamPart {
  return { type: 'response-metadata', id, modelId: model, timestamp: new Date(created * 1000) };
}

export function finishOf(raw: FinishReason): LanguageModelV3FinishReason {
  const unified = {
    stop: 'stop',
    length: 'length',
    tool_calls: 'tool-calls',
    content_filter: 'content-filter',
  } as const;
  return { unified: unified[raw] ?? 'other', raw };
}

export function usageOf(usage: CompletionUsage | undefined): LanguageModelV3Usage {
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  return {
    inputTokens: {
      total: usage?.prompt_tokens,
      noCache: usage && usage.prompt_tokens - (cached ?? 0),
      cacheRead: cached,
      cacheWrite: undefined,
    },
    outputTokens: { total: usage?.completion_tokens, text: usage?.completion_tokens, reasoning: undefined },
    ...(usage && { raw: usage as unknown as JSONObject }),
  };
}
