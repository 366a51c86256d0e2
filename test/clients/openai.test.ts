import OpenAI from 'openai';
import { everyWay } from './way.ts';

everyWay(({ baseURL, apiKey }) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const body = (content: string, temperature = 0) => ({
    model: 'huozi',
    messages: [{ role: 'user' as const, content }],
    temperature,
  });
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
    wrongField: () => client.chat.completions.create(body('你好', 9)),
  };
});
