import { InferenceClient } from '@huggingface/inference';
import { everyWay } from './way.ts';

everyWay(({ baseURL, apiKey }) => {
  const client = new InferenceClient(apiKey, { endpointUrl: baseURL.replace(/\/v1$/, '') });
  const body = (content: string, temperature = 0) => ({
    model: 'huozi',
    messages: [{ role: 'user' as const, content }],
    temperature,
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
    wrongField: () => client.chatCompletion(body('你好', 9), { retry_on_error: false }),
  };
});
