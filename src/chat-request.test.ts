import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { documentedFields } from '../test/documented-fields.ts';
import { parseChatRequest } from './chat-request.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { refusal } from './testing/refusal.ts';

const hello = [{ role: 'user', content: '你好' }];
const base = { model: 'huozi', messages: hello };
const continued = {
  messages: [...hello, { role: 'assistant', content: '你' }],
  continue_final_message: true,
};

describe('a minimal chat request', () => {
  it("gets the model authors' settings and a seed of its own", () => {
    const first = parseChatRequest(base);
    expect(first).toEqual({
      model: 'huozi',
      stream: false,
      includeUsage: false,
      sampling: {
        temperature: 0.8,
        top_p: 0.9,
        top_k: 0,
        min_p: 0,
        repetition_penalty: 1,
        presence_penalty: 0,
        frequency_penalty: 0,
        seed: expect.any(Number),
      },
      maxTokens: undefined,
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
      options: {},
      formatField: undefined,
      turns: [{ speaker: '用户', text: '你好' }],
      ending: 'new_turn',
      role: 'assistant',
      truncation: 'disabled',
    });
    const seeds = new Set(Array.from({ length: 20 }, () => parseChatRequest(base).sampling.seed));
    expect(seeds.size).toBeGreaterThan(1);
  });

  it('takes null for every field of its own as absent', () => {
    const nulls = Object.fromEntries(
      documentedFields('chat/completions/completions', 'ChatCompletionCreateParamsBase').map((name) => [
        name,
        null,
      ]),
    );
    const { seed: _, ...sampling } = parseChatRequest({ ...nulls, ...base }).sampling;
    expect(sampling).toEqual(expect.objectContaining({ temperature: 0.8, top_p: 0.9 }));
  });
});

describe('fields that are honoured', () => {
  it.each([
    [{ temperature: 0 }, { sampling: expect.objectContaining({ temperature: 0 }) }],
    [{ top_p: 0 }, { sampling: expect.objectContaining({ top_p: 1e-6 }) }],
    [{ top_k: -1 }, { sampling: expect.objectContaining({ top_k: 0 }) }],
    [{ top_k: 40, min_p: 0.1 }, { sampling: expect.objectContaining({ top_k: 40, min_p: 0.1 }) }],
    [{ repetition_penalty: 1.1 }, { sampling: expect.objectContaining({ repetition_penalty: 1.1 }) }],
    [
      { presence_penalty: -2, frequency_penalty: 2 },
      { sampling: expect.objectContaining({ presence_penalty: -2 }) },
    ],
    [{ seed: 7 }, { sampling: expect.objectContaining({ seed: 7 }) }],
    [{ seed: -1 }, { sampling: expect.objectContaining({ seed: 4_294_967_295 }) }],
    [{ seed: 2 ** 40 + 5 }, { sampling: expect.objectContaining({ seed: 5 }) }],
    [{ max_tokens: 5 }, { maxTokens: 5 }],
    [{ max_completion_tokens: 6 }, { maxTokens: 6 }],
    [{ max_tokens: 7, max_completion_tokens: 7 }, { maxTokens: 7 }],
    [{ stop: '。' }, { stop: ['。'] }],
    [{ stop: ['。', '\n'] }, { stop: ['。', '\n'] }],
    [
      { stop_token_ids: [57001], ignore_eos: true },
      { stopTokenIds: [57001], ignoreEos: true },
    ],
    [{ n: 3 }, { options: { n: 3 } }],
    [{ logprobs: true }, { options: { logprobs: 0 } }],
    [{ logprobs: true, top_logprobs: 5 }, { options: { logprobs: 5 } }],
    [{ logit_bias: { 7: -100 } }, { sampling: expect.objectContaining({ logit_bias: { 7: -100 } }) }],
    [{ min_tokens: 4 }, { options: { min_tokens: 4 } }],
    [{ return_routed_experts: true }, { options: { return_routed_experts: true } }],
    [{ priority: 7 }, { options: { priority: -7 } }],
    [{ typical_p: 0.5 }, { sampling: expect.objectContaining({ typical_p: 0.5 }) }],
    [
      { dry_multiplier: 0.8, dry_sequence_breakers: ['\n'] },
      {
        sampling: expect.objectContaining({
          dry: { multiplier: 0.8, base: 1.75, allowed_length: 2, last_n: 0, sequence_breakers: ['\n'] },
        }),
      },
    ],
    [{ truncation: 'auto' }, { truncation: 'auto' }],
    [{ add_generation_prompt: false }, { ending: 'closed' }],
    [{ ...continued, add_generation_prompt: false }, { ending: 'continued' }],
    [
      { stream: true, stream_options: { include_usage: true } },
      { stream: true, includeUsage: true },
    ],
  ])('%j', (fields, expected) => {
    expect(parseChatRequest({ ...base, ...fields })).toMatchObject(expected);
  });
});

describe('fields that ask for nothing', () => {
  it.each([
    { user: 'u' },
    { metadata: { a: 'b' } },
    { store: false },
    { n: 1 },
    { logprobs: false },
    { top_logprobs: 0 },
    { service_tier: 'auto' },
    { parallel_tool_calls: true },
    { functions: [], function_call: 'none' },
    { dry_multiplier: 0.8, dry_penalty_last_n: 0 },
    { priority: 0 },
    { typical_p: 1 },
    { echo: false },
    { guided_regex: null },
    { modalities: ['text'] },
    { logit_bias: {} },
    { prompt_cache_key: 'k', safety_identifier: 's' },
    { reasoning_effort: 'none', verbosity: 'medium' },
    { stream_options: { include_obfuscation: false } },
  ])('are accepted: %j', (fields) => {
    expect(refusal(parseChatRequest, { ...base, ...fields })).toBeUndefined();
  });
});

describe('fields that are refused by name', () => {
  it.each([
    [{ temperature: 2.1 }, 'temperature'],
    [{ temperature: '1' }, 'temperature'],
    [{ top_p: -0.1 }, 'top_p'],
    [{ top_k: 1.5 }, 'top_k'],
    [{ repetition_penalty: 0 }, 'repetition_penalty'],
    [{ seed: 0.5 }, 'seed'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: 1, max_completion_tokens: 2 }, 'max_tokens'],
    [{ stop: '' }, 'stop.0'],
    [{ stop: Array(17).fill('a') }, 'stop'],
    [{ stop: 1 }, 'stop'],
    [{ stop_token_ids: [-1] }, 'stop_token_ids.0'],
    [{ stream: 'true' }, 'stream'],
    [{ stream_options: { include_usag: true } }, 'stream_options.include_usag'],
    [{ stream_options: { include_obfuscation: true } }, 'stream_options.include_obfuscation'],
    [{ n: 9 }, 'n'],
    [{ n: 0 }, 'n'],
    [{ logprobs: 3 }, 'logprobs'],
    [{ top_logprobs: 3 }, 'top_logprobs'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    [{ logit_bias: { '5': 101 } }, 'logit_bias.5'],
    [{ logit_bias: { x: 1 } }, 'logit_bias.x'],
    [{ logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1])) }, 'logit_bias'],
    [{ min_tokens: 5, max_tokens: 4 }, 'min_tokens'],
    [{ return_routed_experts: true, n: 2 }, 'return_routed_experts'],
    [{ priority: 101 }, 'priority'],
    [{ typical_p: 0 }, 'typical_p'],
    [{ dry_base: 0.5 }, 'dry_base'],
    [{ dry_sequence_breakers: [''] }, 'dry_sequence_breakers.0'],
    [{ echo: true }, 'echo'],
    [{ truncation: 'middle' }, 'truncation'],
    [{ continue_final_message: true }, 'continue_final_message'],
    [{ ...continued, add_generation_prompt: true }, 'continue_final_message'],
    [{ store: true }, 'store'],
    [{ model: '' }, 'model'],
    [{ model: 3 }, 'model'],
    [{ temprature: 1 }, 'temprature'],
    [{ add_generation_prompt: 1 }, 'add_generation_prompt'],
    [{ messages: [] }, 'messages'],
    [{ messages: 'hi' }, 'messages'],
    [{ messages: ['hi'] }, 'messages.0'],
    [{ messages: [{ content: 'hi' }] }, 'messages.0.role'],
    [{ messages: [{ role: 'function', content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: '用户\n', content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: '__proto__', content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: 'constructor', content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: 7, content: 'x' }] }, 'messages.0.role'],
    [{ messages: [{ role: 'user' }] }, 'messages.0.content'],
    [{ messages: [{ role: 'user', content: null }] }, 'messages.0.content'],
    [{ messages: [{ role: 'user', content: 5 }] }, 'messages.0.content'],
    [{ messages: [{ role: 'user', content: [] }] }, 'messages.0.content'],
    [{ messages: [{ role: 'user', content: 'x', name: 'Li' }] }, 'messages.0.name'],
    [{ messages: [{ role: 'user', content: 'x', nmae: 'Li' }] }, 'messages.0.nmae'],
    [
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'image_url', image_url: {} },
            ],
          },
        ],
      },
      'messages.0.content.1.type',
    ],
    [{ messages: [{ role: 'user', content: [{ type: 'text', text: 5 }] }] }, 'messages.0.content.0.text'],
  ])('%j', (fields, param) => {
    const error = refusal(parseChatRequest, { ...base, ...fields });
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error!.message).toContain(param);
    expect(error!.message).not.toMatch(/undefined|Invalid input/);
  });

  it.each([undefined, null, 'x', 5, [], true])('a body that is no object: %j', (body) => {
    expect(refusal(parseChatRequest, body)).toMatchObject({ status: 400, param: 'body' });
  });

  it('says what is wrong with an image', () => {
    const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:' } }] }];
    expect(refusal(parseChatRequest, { ...base, messages: image })!.message).toContain('reads text only');
  });

  it('repeats no more than a little of what the client sent', () => {
    const long = 'x'.repeat(100_000);
    expect(refusal(parseChatRequest, { ...base, [long]: 1 })!.message.length).toBeLessThan(400);
    const messages = [{ role: long, content: '' }];
    expect(refusal(parseChatRequest, { ...base, messages })!.message.length).toBeLessThan(400);
  });
});

describe('messages', () => {
  it('speak either language, and the answer takes the Chinese role where the request did', () => {
    const english = ['system', 'developer', 'user', 'assistant'];
    const turns = parseChatRequest({ ...base, messages: english.map((role) => ({ role, content: role })) });
    expect(turns.turns.map((turn) => turn.speaker)).toEqual(['系统', '系统', '用户', '助手']);
    expect(turns.role).toBe('assistant');
    const chinese = ['系统', '用户', '助手'].map((role) => ({ role, content: 'x' }));
    expect(parseChatRequest({ ...base, messages: chinese })).toMatchObject({
      role: '助手',
      turns: [{ speaker: '系统' }, { speaker: '用户' }, { speaker: '助手' }],
    });
  });

  it('join their text parts with nothing between, and may be an answer as it was given out', () => {
    const messages = [
      {
        role: 'user',
        content: [
          { type: 'text', text: '一' },
          { type: 'text', text: '二' },
        ],
      },
      { role: 'assistant', content: '三', refusal: null, annotations: [], tool_calls: [], audio: null },
      { role: 'assistant', content: null },
      { role: 'assistant' },
    ];
    expect(parseChatRequest({ ...base, messages }).turns.map((turn) => turn.text)).toEqual([
      '一二',
      '三',
      '',
      '',
    ]);
  });
});

describe('any body', () => {
  const value = fc.oneof(
    fc.anything(),
    fc.constantFrom(0, 1, 0.5, true, false, 'auto', 'none', [], {}, null),
  );
  const role = fc.oneof(fc.constantFrom('system', 'user', 'assistant', 'tool', '用户', '助手', ''), value);
  const part = fc.oneof(fc.record({ type: fc.constant('text'), text: fc.string() }), value);
  const content = fc.oneof(fc.string({ unit: 'binary' }), fc.array(part), value);
  const message = fc.oneof(
    fc.record({ role: fc.constant('user'), content: fc.string() }),
    fc.record({ role, content }, { requiredKeys: [] }),
    value,
  );
  const bodiesOf = (documented: string[], valid: object, own: Record<string, fc.Arbitrary<unknown>>) => {
    const name = fc.constantFrom(
      ...documented,
      'top_k',
      'min_p',
      'stop_token_ids',
      'ignore_eos',
      '__proto__',
      'x',
    );
    const fields = fc
      .array(fc.tuple(name, value), { maxLength: 3 })
      .map((pairs) => Object.fromEntries(pairs));
    const body = fc
      .tuple(fields, fc.record(own, { requiredKeys: [] }))
      .map(([some, rest]) => ({ ...valid, ...some, ...rest }));
    // What arrives is JSON, so what is tried has been through it.
    return fc
      .oneof({ weight: 9, arbitrary: body }, value)
      .map((one) => JSON.parse(JSON.stringify(one) ?? 'null'));
  };

  it.each([
    [
      'chat',
      parseChatRequest,
      bodiesOf(documentedFields('chat/completions/completions', 'ChatCompletionCreateParamsBase'), base, {
        messages: fc.array(message, { maxLength: 3 }),
      }),
    ],
    [
      'text',
      parseCompletionRequest,
      bodiesOf(
        documentedFields('completions', 'CompletionCreateParamsBase'),
        { model: 'huozi', prompt: '' },
        {
          prompt: content,
        },
      ),
    ],
  ])('%s: is understood, or refused with a 400 that names a field', (_name, parse, bodies) => {
    const seen = { understood: 0, refused: 0 };
    fc.assert(
      fc.property(bodies, (body) => {
        const error = refusal(parse, body);
        seen[error ? 'refused' : 'understood']++;
        if (!error) return;
        expect(error.status).toBe(400);
        expect(error.param).toEqual(expect.any(String));
        expect(error.message).not.toMatch(/Invalid input/);
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(seen.understood, seen.refused)).toBeGreaterThan(100);
  });
});
