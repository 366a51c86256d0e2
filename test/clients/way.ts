/** The ways of use that every client must manage, and what huozi-tiny answers to them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../stack.ts';

const counted = '1、2、3、4、5、6、7、8、9、10';

const cities = ['北京', '上海'];
/** One word to choose, so that a model of any size fills it in. */
export const citySchema = {
  type: 'object' as const,
  properties: { city: { type: 'string' as const, enum: cities } },
  required: ['city'],
  additionalProperties: false,
};
export const weather = { name: 'weather', description: '查询天气', parameters: citySchema };

export interface Call {
  name: string;
  /** Parsed, by the client or from its text. */
  arguments: unknown;
}

/** One client, made for a base URL and a key; each way gives what its client made of the answer. */
export interface Ways {
  /** Text of an answer in one piece. */
  chat(prompt: string): Promise<string>;
  /** Pieces of a streamed answer, as they came. */
  stream(prompt: string): Promise<string[]>;
  /** An answer that must fit `citySchema`, parsed. */
  json(prompt: string): Promise<unknown>;
  /** The calls of an answer that must call `weather`. */
  call(prompt: string): Promise<Call[]>;
  /** The same, streamed. */
  streamCall(prompt: string): Promise<Call[]>;
  /** Rejects with the client's own error. */
  wrongField(): Promise<unknown>;
}

export function everyWay(make: (options: { baseURL: string; apiKey: string }) => Ways): void {
  let stack: Stack;
  let ways: Ways;
  beforeAll(async () => {
    stack = await startStack();
    ways = make(stack);
  });
  afterAll(() => stack?.stop());

  it('chats', async () => {
    expect(await ways.chat('从1数到10')).toBe(counted);
  });

  it('streams, piece by piece', async () => {
    const pieces = await ways.stream('从1数到10');
    expect(pieces.join('')).toBe(counted);
    expect(pieces.length).toBeGreaterThan(5);
  });

  it('gets JSON that fits a schema', async () => {
    expect(await ways.json('北京在哪里？')).toEqual({ city: expect.stringMatching(/^(北京|上海)$/) });
  });

  it.each(['call', 'streamCall'] as const)('gets a tool call (%s)', async (way) => {
    expect(await ways[way]('北京天气如何？')).toEqual([
      { name: 'weather', arguments: { city: expect.stringMatching(/^(北京|上海)$/) } },
    ]);
  });

  it('gets an error that names the field', async () => {
    const error = await ways.wrongField().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Error);
    expect(JSON.stringify([String(error), error])).toContain('temperature');
  });
}
