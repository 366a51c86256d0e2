import OpenAI from 'openai';
import { type Call, citySchema, everyWay, weather } from './way.ts';

function callsOf({ finish_reason, message }: OpenAI.ChatCompletion.Choice): Call[] {
  if (finish_reason !== 'tool_calls') throw new Error(`the answer ended with ${finish_reason}`);
  return (message.tool_calls ?? []).map((call) => {
    if (call.type !== 'function') throw new Error(`a call of type ${call.type}`);
    return { name: call.function.name, arguments: JSON.parse(call.function.arguments) };
  });
}

everyWay(({ baseURL, apiKey }) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const body = (content: string, temperature = 0) => ({
    model: 'huozi',
    messages: [{ role: 'user' as const, content }],
    temperature,
  });
  const tools = {
    tools: [{ type: 'function' as const, function: weather }],
    tool_choice: 'required' as const,
  };
  return {
    chat: async (prompt) =>
      (await client.chat.completions.create(body(prompt))).choices[0]!.message.content ?? '',
    async stream(prompt) {
      const pieces: string[] = [];
      for await (const chunk of await client.chat.completions.create({ ...body(prompt), stream: true })) {
        const piece = chunk.choices[0]?.delta.content;
        if (piece) pieces.push(piece);
      }
      return pieces;
    },
    async json(prompt) {
      const json_schema = { name: 'city', schema: citySchema, strict: true };
      const response_format = { type: 'json_schema' as const, json_schema };
      const { choices } = await client.chat.completions.create({ ...body(prompt), response_format });
      return JSON.parse(choices[0]!.message.content!);
    },
    async call(prompt) {
      const { choices } = await client.chat.completions.create({ ...body(prompt), ...tools });
      return callsOf(choices[0]!);
    },
    async streamCall(prompt) {
      const final = await client.chat.completions.stream({ ...body(prompt), ...tools }).finalChatCompletion();
      return callsOf(final.choices[0]!);
    },
    wrongField: () => client.chat.completions.create(body('你好', 9)),
  };
});
