import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, jsonSchema, Output, streamText, type ToolSet, tool } from 'ai';
import { citySchema, everyWay, weather } from './way.ts';

everyWay(({ baseURL, apiKey }) => {
  const model = createOpenAICompatible({
    name: 'huozi',
    baseURL,
    apiKey,
    supportsStructuredOutputs: true,
  })('huozi');
  const settings = { model, temperature: 0, maxRetries: 0 };
  const { description, parameters } = weather;
  const tools = {
    // The SDK's own types do not fit each other under exactOptionalPropertyTypes.
    tools: { weather: tool({ description, inputSchema: jsonSchema(parameters) }) } as ToolSet,
    toolChoice: 'required' as const,
  };
  const callOf = ({ toolName, input }: { toolName: string; input: unknown }) => ({
    name: toolName,
    arguments: input,
  });
  return {
    chat: async (prompt) => (await generateText({ ...settings, prompt })).text,
    async stream(prompt) {
      const pieces: string[] = [];
      for await (const piece of streamText({ ...settings, prompt }).textStream) pieces.push(piece);
      return pieces;
    },
    async json(prompt) {
      const output = Output.object({ schema: jsonSchema(citySchema) });
      return (await generateText({ ...settings, prompt, output })).output;
    },
    call: async (prompt) => (await generateText({ ...settings, ...tools, prompt })).toolCalls.map(callOf),
    streamCall: async (prompt) => (await streamText({ ...settings, ...tools, prompt }).toolCalls).map(callOf),
    wrongField: () => generateText({ ...settings, temperature: 9, prompt: '你好' }),
  };
});
