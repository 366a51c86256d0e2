/** `huozi/ai-sdk`: a provider for the AI SDK (`ai` 6, which speaks LanguageModelV3; 7 takes these models, too). */
import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3Content } from '@ai-sdk/provider';
import type { Huozi } from '../client.ts';
import type { ChatStream } from '../stream.ts';
import { finishOf, parts, usageOf } from './parts.ts';
import { requestOf } from './request.ts';

/**
 * Makes models of a client. Errors are the client's own: it has tried again already, so the AI SDK does not.
 *
 * @example
 * import { streamText } from 'ai';
 * import { Huozi } from 'huozi';
 * import { createHuozi } from 'huozi/ai-sdk';
 *
 * const huozi = createHuozi(new Huozi({ baseURL, apiKey }));
 * const { textStream } = streamText({ model: huozi('huozi'), prompt: '背诵《静夜思》' });
 *
 * @example What only Huozi has goes into `providerOptions`, in the API's names:
 * streamText({ model: huozi('huozi'), prompt, providerOptions: { huozi: { min_p: 0.05 } } });
 */
export function createHuozi(client: Pick<Huozi, 'chat'>): (modelId: string) => LanguageModelV3 {
  return (modelId) => languageModel(client, modelId);
}

function languageModel(client: Pick<Huozi, 'chat'>, modelId: string): LanguageModelV3 {
  async function open(options: LanguageModelV3CallOptions): Promise<{
    stream: ChatStream;
    request: ReturnType<typeof requestOf>;
  }> {
    const request = requestOf(modelId, options);
    const headers = Object.entries(options.headers ?? {}).filter(
      (pair): pair is [string, string] => !!pair[1],
    );
    const stream = await client.chat.completions.create(
      { ...request.body, stream: true },
      { signal: options.abortSignal, headers },
    );
    return { stream, request };
  }

  return {
    specificationVersion: 'v3',
    provider: 'huozi',
    modelId,
    supportedUrls: {},

    // Streamed, too: a long answer then has an idle deadline, and a proxy sees that something comes.
    async doGenerate(options) {
      const { stream, request } = await open(options);
      const completion = await stream.finalCompletion();
      const { message, finish_reason } = completion.choices[0]!;
      const content: LanguageModelV3Content[] = [];
      if (message.content) content.push({ type: 'text', text: message.content });
      for (const { id, function: call } of message.tool_calls ?? []) {
        content.push({ type: 'tool-call', toolCallId: id, toolName: call.name, input: call.arguments });
      }
      return {
        content,
        finishReason: finishOf(finish_reason),
        usage: usageOf(stream.usage),
        warnings: request.warnings,
        request: { body: request.body },
        response: {
          id: completion.id,
          modelId: completion.model,
          timestamp: new Date(completion.created * 1000),
        },
      };
    },

    async doStream(options) {
      const { stream, request } = await open(options);
      return {
        stream: parts(stream, request.warnings, options.includeRawChunks),
        request: { body: request.body },
      };
    },
  };
}
