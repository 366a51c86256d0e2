import { ChatOpenAI } from '@langchain/openai';
import { everyWay } from './way.ts';

everyWay(({ baseURL, apiKey }) => {
  const model = (temperature: number) =>
    new ChatOpenAI({ model: 'huozi', apiKey, configuration: { baseURL }, temperature, maxRetries: 0 });
  return {
    chat: async (prompt) => (await model(0).invoke(prompt)).text,
    async stream(prompt) {
      const pieces: string[] = [];
      for await (const chunk of await model(0).stream(prompt)) if (chunk.text) pieces.push(chunk.text);
      return pieces;
    },
    wrongField: () => model(9).invoke('你好'),
  };
});
