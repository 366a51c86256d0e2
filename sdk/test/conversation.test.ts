import { describe, expect, test } from 'vitest';
import { Conversation, type ConversationOptions } from '../src/conversation.ts';
import { Huozi } from '../src/index.ts';
import { chunk, last, usageChunk } from './answers.ts';
import { fakeFetch, sse } from './fake-fetch.ts';

const says = (text: string) =>
  sse([chunk({ content: text }), last, usageChunk].map((one) => `data: ${JSON.stringify(one)}\n\n`));

/** Ends in the middle of the answer. */
const cut = (text: string) => sse([`data: ${JSON.stringify(chunk({ content: text }))}\n\n`]);

function chatting(options: Partial<ConversationOptions>, ...answers: Parameters<typeof fakeFetch>) {
  const fake = fakeFetch(...answers);
  const huozi = new Huozi({ baseURL: 'http://edge.test', apiKey: 'k', fetch: fake.fetch });
  const sent = (at: number) =>
    (fake.requests[at]!.body as { messages: { content: string }[] }).messages.map(({ content }) => content);
  return { fake, sent, chat: new Conversation(huozi, { model: 'huozi', ...options }) };
}
const said = ({ messages }: Conversation) => messages.map(({ content }) => content);
const talk = async (chat: Conversation, ...turns: string[]) => {
  for (const turn of turns) await (await chat.send(turn)).finalMessage();
};

describe('what is remembered', () => {
  test('turns and answers, after the system message; sampling goes along, its own options do not', async () => {
    const { chat, sent, fake } = chatting(
      { system: '你是诗人', temperature: 0, contextTokens: 4096, answerTokens: 9 },
      says('一'),
      says('二'),
    );
    await talk(chat, 'u1', 'u2');
    expect(said(chat)).toEqual(['u1', '一', 'u2', '二']);
    expect(sent(1)).toEqual(['你是诗人', 'u1', '一', 'u2']);
    expect(Object.keys(fake.requests[0]!.body as object).sort()).toEqual(
      ['messages', 'model', 'resumable', 'stream', 'stream_options', 'temperature'].sort(),
    );
  });

  test('not a turn that failed or was left; what came of it is at hand, and the next turn is free', async () => {
    const { chat } = chatting({}, says('一'), cut('半'), says('三'));
    await talk(chat, 'u1');
    const broken = await chat.send('u2');
    await expect(broken.finalMessage()).rejects.toMatchObject({ name: 'TruncatedError' });
    expect(said(chat)).toEqual(['u1', '一']);
    expect(chat.unfinished).toBe('半');
    const left = await chat.send('u3');
    for await (const _ of left) break;
    await left.ended;
    expect(said(chat)).toEqual(['u1', '一']);
    await talk(chat, 'u4');
    expect(said(chat)).toEqual(['u1', '一', 'u4', '三']);
    expect(chat.unfinished).toBeUndefined();
  });

  test('a second turn while one is under way is refused', async () => {
    const { chat } = chatting({}, says('一'));
    const stream = await chat.send('u1');
    await expect(chat.send('u2')).rejects.toThrow('has not ended');
    await stream.finalMessage();
    await talk(chat, 'u2');
    expect(chat.messages).toHaveLength(4);
  });

  test('JSON keeps it', async () => {
    const { chat } = chatting({ system: '你是诗人' }, says('一'));
    await talk(chat, 'u1');
    const again = chatting({ ...JSON.parse(JSON.stringify(chat)) }).chat;
    expect(again.system).toBe('你是诗人');
    expect(said(again)).toEqual(['u1', '一']);
  });
});

describe('taking back', () => {
  test('regenerate asks the same again; the old answer goes when the new one is whole', async () => {
    const { chat, sent } = chatting({}, says('一'), cut('半'), says('二'));
    await talk(chat, 'u1');
    await expect((await chat.regenerate()).finalMessage()).rejects.toThrow();
    expect(said(chat)).toEqual(['u1', '一']);
    await (await chat.regenerate()).finalMessage();
    expect(sent(1)).toEqual(['u1']);
    expect(said(chat)).toEqual(['u1', '二']);
    await expect(chatting({}).chat.regenerate()).rejects.toThrow('Nothing was asked');
  });

  test('undo gives the question back', async () => {
    const { chat } = chatting({}, says('一'));
    await talk(chat, 'u1', 'u2');
    expect(chat.undo()).toBe('u2');
    expect(said(chat)).toEqual(['u1', '一']);
    expect([chat.undo(), chat.undo()]).toEqual(['u1', undefined]);
  });

  test('a branch and its origin do not notice each other', async () => {
    const { chat } = chatting({ system: 's' }, says('一'), says('二'));
    await talk(chat, 'u1', 'u2');
    const branch = chat.branch(2);
    await talk(branch, 'v2');
    expect(said(branch)).toEqual(['u1', '一', 'v2', '二']);
    expect(said(chat)).toEqual(['u1', '一', 'u2', '二']);
    expect(branch.system).toBe('s');
  });
});

describe('what fits', () => {
  // One token a character makes the arithmetic plain: each message costs its length and 8.
  const count = { countTokens: (text: string) => text.length };
  const history = ['a', 'A', 'b', 'B', 'c', 'C'].map((content, at) => ({
    role: at % 2 ? ('assistant' as const) : ('user' as const),
    content,
  }));

  test.each([
    ['all', 8 * 9, 0],
    ['one token less: the oldest question goes with its answer', 8 * 9 - 1, 2],
    ['of a pair that half fits, nothing', 6 * 9 - 1, 4],
    ['the question alone, though it does not fit', 5, 6],
  ])('%s', async (_, contextTokens, leftOut) => {
    const { chat, sent } = chatting(
      { ...count, history, contextTokens, answerTokens: 0, system: 's' },
      says('D'),
    );
    await talk(chat, 'd');
    expect(chat.leftOut).toBe(leftOut);
    expect(sent(0)).toEqual(['s', ...['a', 'A', 'b', 'B', 'c', 'C', 'd'].slice(leftOut)]);
    // Not sent is not forgotten.
    expect(chat.messages).toHaveLength(8);
  });

  test('max_tokens are kept free', async () => {
    const { chat } = chatting({ ...count, history, contextTokens: 7 * 9 + 9, max_tokens: 10 }, says('D'));
    await talk(chat, 'd');
    expect(chat.leftOut).toBe(2);
  });

  test('without a counter it estimates, and learns from usage', async () => {
    // 3 prompt tokens for a text estimated at far more: the estimate was too careful.
    const long = '很长的话'.repeat(20);
    const { chat } = chatting({ contextTokens: 260, answerTokens: 0 }, says('一'));
    await talk(chat, long, long, long);
    expect(chat.leftOut).toBe(0);
    const never = chatting({ contextTokens: 260, answerTokens: 0, history: chat.messages }, says('一')).chat;
    await talk(never, long);
    expect(never.leftOut).toBeGreaterThan(0);
  });
});
