import type { AIMessageChunk } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { citySchema, everyWay, weather } from './way.ts';

everyWay(({ baseURL, apiKey }) => {
  const model = (temperature: number) =>
    new ChatOpenAI({ model: 'huozi', apiKey, configuration: { baseURL }, temperature, maxRetries: 0 });
  const withTools = () =>
    model(0).bindTools([{ type: 'function', function: weather }], { tool_choice: 'required' });
  const callsOf = ({ tool_calls = [] }: AIMessageChunk) =>
    tool_calls.map(({ name, args }) => ({ name, arguments: args }));
  return {
    chat: async (prompt) => (await model(0).invoke(prompt)).text,
    async stream(prompt) {
      const pieces: string[] = [];
      for await (const chunk of await model(0).stream(prompt)) if (chunk.text) pieces.push(chunk.text);
      return pieces;
    },
    json: (prompt) =>
      model(0).withStructuredOutput(citySchema, { name: 'city', method: 'jsonSchema' }).invoke(prompt),
    call: async (prompt) => callsOf(await withTools().invoke(prompt)),
    async streamCall(prompt) {
      let whole: AIMessageChunk | undefined;
      for await (const chunk of await withTools().stream(prompt)) whole = whole?.concat(chunk) ?? chunk;
      return callsOf(whole!);
    },
    wrongField: () => model(9).invoke('你好'),
  };
});
