import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import { everyWay } from './way.ts';

everyWay(({ baseURL, apiKey }) => {
  const model = createOpenAICompatible({ name: 'huozi', baseURL, apiKey })('huozi');
  const settings = { model, temperature: 0, maxRetries: 0 };
  return {
    chat: async (prompt) => (await generateText({ ...settings, prompt })).text,
    async stream(prompt) {
      const pieces: string[] = [];
      for await (const piece of streamText({ ...settings, prompt }).textStream) pieces.push(piece);
      return pieces;
    },
    wrongField: () => generateText({ ...settings, temperature: 9, prompt: '你好' }),
  };
});
