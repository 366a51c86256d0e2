import { InferenceClient } from '@huggingface/inference';
import { type Call, citySchema, everyWay, weather } from './way.ts';

everyWay(({ baseURL, apiKey }) => {
  const client = new InferenceClient(apiKey, { endpointUrl: baseURL.replace(/\/v1$/, '') });
  const body = (content: string, temperature = 0) => ({
    model: 'huozi',
    messages: [{ role: 'user' as const, content }],
    temperature,
  });
  const tools = {
    tools: [{ type: 'function' as const, function: weather }],
    tool_choice: 'required' as const,
  };
  const callOf = (call: { function: { name: string; arguments: string } }): Call => ({
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments),
  });
  return {
    chat: async (prompt) => (await client.chatCompletion(body(prompt))).choices[0]!.message.content ?? '',
    async stream(prompt) {
      const pieces: string[] = [];
      for await (const chunk of client.chatCompletionStream(body(prompt))) {
        const piece = chunk.choices[0]?.delta.content;
        if (piece) pieces.push(piece);
      }
      return pieces;
    },
    async json(prompt) {
      const response_format = {
        type: 'json_schema' as const,
        json_schema: { name: 'city', schema: citySchema },
      };
      const { choices } = await client.chatCompletion({ ...body(prompt), response_format });
      return JSON.parse(choices[0]!.message.content!);
    },
    async call(prompt) {
      const { choices } = await client.chatCompletion({ ...body(prompt), ...tools });
      return (choices[0]!.message.tool_calls ?? []).map(callOf);
    },
    async streamCall(prompt) {
      const calls: { function: { name: string; arguments: string } }[] = [];
      for await (const chunk of client.chatCompletionStream({ ...body(prompt), ...tools })) {
        for (const piece of chunk.choices[0]?.delta.tool_calls ?? []) {
          calls[piece.index] ??= { function: { name: '', arguments: '' } };
          calls[piece.index]!.function.name += piece.function.name ?? '';
          calls[piece.index]!.function.arguments += piece.function.arguments ?? '';
        }
      }
      return calls.map(callOf);
    },
    wrongField: () => client.chatCompletion(body('你好', 9), { retry_on_error: false }),
  };
});
