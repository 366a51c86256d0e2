/** How tests ask for a streamed answer, and read all of one. */
import { type ChatStream, Huozi } from '../src/index.ts';
import type { FakeFetch } from './fake-fetch.ts';

export const body = {
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '你好' }],
  stream: true as const,
};

export function open(fake: FakeFetch, options: object = {}, rest: object = {}): Promise<ChatStream> {
  const huozi = new Huozi({ baseURL: 'http://edge.test/v1', apiKey: 'k', fetch: fake.fetch });
  return huozi.chat.completions.create({ ...body, ...rest }, options);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const got: T[] = [];
  for await (const item of items) got.push(item);
  return got;
}
