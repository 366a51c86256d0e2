/** What a page pays for streaming chat: bundled for the browser, minified, gzipped, dependencies included. */
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const chat = (name: string, from: string) => `
import { ${name} } from '${from}';
const client = new ${name}({ baseURL: '/v1', apiKey: 'k', dangerouslyAllowBrowser: true });
const stream = await client.chat.completions.create({
  model: 'huozi',
  messages: [{ role: 'user', content: 'hi' }],
  stream: true,
});
for await (const chunk of stream) console.log(chunk.choices[0]?.delta.content);
`;

/** @returns bytes, minified and gzipped */
async function gzipped(contents: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['huozi-source'],
    logLevel: 'error',
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}

export const ourSize = (): Promise<number> => gzipped(chat('Huozi', '../src/index.ts'));
export const openaiSize = (): Promise<number> => gzipped(chat('OpenAI', 'openai'));

/** The provider alone: with `ai` itself, which an application also loads, it is more. */
export const aiSdkSize = (): Promise<number> =>
  gzipped(`
    import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
    const model = createOpenAICompatible({ baseURL: '/v1', name: 'huozi' })('huozi');
    const { stream } = await model.doStream({ prompt: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }] });
    for await (const part of stream) console.log(part.delta);
  `);
