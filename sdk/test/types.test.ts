/** Checked by `tsc`; at run time these only show that the names exist. */
import type OpenAI from 'openai';
import { describe, expectTypeOf, test } from 'vitest';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParams,
  ChatCompletionMessageParam,
  ChatStream,
  Completion,
  CompletionStream,
  CompletionUsage,
  Huozi,
  HuoziError,
  Model,
} from '../src/index.ts';
import { HuoziError as Base, TimeoutError } from '../src/index.ts';

const params = { model: 'huozi', messages: [{ role: 'user' as const, content: '你好' }] };

describe('create', () => {
  type Create = Huozi['chat']['completions']['create'];
  const chat = (() => new Promise(() => {})) as unknown as Create;
  const complete = (() => new Promise(() => {})) as unknown as Huozi['completions']['create'];

  test('says by stream what comes', () => {
    expectTypeOf(chat({ ...params, stream: true })).toEqualTypeOf<Promise<ChatStream>>();
    expectTypeOf(chat(params)).resolves.toExtend<ChatCompletion>();
    expectTypeOf(chat({ ...params, stream: false })).resolves.toExtend<ChatCompletion>();
    expectTypeOf(complete({ model: 'huozi', prompt: '床前' })).resolves.toExtend<Completion>();
    expectTypeOf(
      complete({ model: 'huozi', prompt: [1], stream: true }),
    ).resolves.toEqualTypeOf<CompletionStream>();
    const either: boolean = Math.random() > 2;
    expectTypeOf(chat({ ...params, stream: either })).resolves.toEqualTypeOf<ChatStream | ChatCompletion>();
  });

  test('knows Huozi’s own fields and no others', () => {
    expectTypeOf<ChatCompletionCreateParams>().toExtend<{
      top_k?: number | undefined;
      min_p?: number | undefined;
      repetition_penalty?: number | undefined;
      stop_token_ids?: number[] | undefined;
      ignore_eos?: boolean | undefined;
    }>();
    // @ts-expect-error not a field
    void chat({ ...params, top_kk: 5 });
    // @ts-expect-error not a role
    void chat({ model: 'huozi', messages: [{ role: 'robot', content: '' }] });
    void chat({ model: 'huozi', messages: [{ role: '用户', content: '你好' }] });
  });
});

describe('openai’s types fit', () => {
  test('its answers are ours', () => {
    expectTypeOf<OpenAI.ChatCompletionChunk['usage']>().toExtend<CompletionUsage | null | undefined>();
    expectTypeOf<OpenAI.Model>().toExtend<Model>();
  });

  test('its plain messages can be sent', () => {
    expectTypeOf<OpenAI.ChatCompletionSystemMessageParam>().toExtend<ChatCompletionMessageParam>();
    expectTypeOf<OpenAI.ChatCompletionToolMessageParam>().toExtend<ChatCompletionMessageParam>();
  });

  test('code that reads its chunks reads ours', () => {
    const read = (chunk: {
      choices: { delta: { content?: string | null } }[];
      usage?: { total_tokens: number } | null;
    }) => chunk.choices[0]?.delta.content ?? '';
    expectTypeOf(read).toBeCallableWith({} as ChatCompletionChunk);
    expectTypeOf(read).toBeCallableWith({} as OpenAI.ChatCompletionChunk);
  });
});

test('isInstance narrows', () => {
  const error: unknown = undefined;
  if (TimeoutError.isInstance(error)) expectTypeOf(error).toEqualTypeOf<TimeoutError>();
  if (Base.isInstance(error)) expectTypeOf(error).toEqualTypeOf<HuoziError>();
});
