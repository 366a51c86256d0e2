/** What the chat surface makes of a request on its way to the node, and of a node's answer on its way back. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Edge, startEdge } from './edge.ts';
import {
  accept,
  answer,
  type Generation,
  refuse,
  ScriptedNode,
  streamOf,
  tokensOf,
} from './scripted-node.ts';

let node: ScriptedNode;
let edge: Edge;
beforeAll(async () => {
  node = await new ScriptedNode().start();
  edge = await startEdge([node]);
});
afterAll(async () => {
  await edge?.stop();
  await node?.stop();
});
beforeEach(() => {
  node.script = answer('好');
  node.tokenize = tokensOf;
});

const user = (content: string) => ({ role: 'user', content });
const chat = (fields: object = {}) => ({ model: 'huozi', messages: [user('你好')], ...fields });
const lastRequest = () => node.generations.at(-1)!.request;
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };

async function errorOf(response: Response) {
  const { error } = (await response.json()) as { error: Record<string, unknown> };
  return { status: response.status, ...error };
}

describe('what reaches the node', () => {
  it.each([
    [{ n: 2, seed: 1 }, { n: 2 }],
    [{ logprobs: true, top_logprobs: 2 }, { logprobs: 2 }],
    [{ min_tokens: 3 }, { min_tokens: 3 }],
    [{ return_routed_experts: true }, { return_routed_experts: true }],
    [{ logit_bias: { 5: -3 }, typical_p: 0.9 }, { sampling: { logit_bias: { 5: -3 }, typical_p: 0.9 } }],
    [{ response_format: { type: 'json_object' } }, { format: { type: 'json_object' } }],
    [
      { tools: [tool], tool_choice: 'required' },
      {
        format: {
          type: 'tools',
          tools: [{ name: 'f', parameters: { type: 'object' } }],
          choice: 'required',
          parallel: true,
        },
      },
    ],
  ])('%j', async (fields, expected) => {
    const stream = await edge.post(chat({ ...fields, stream: true }));
    expect(stream.status).toBe(200);
    await stream.text();
    expect(lastRequest()).toMatchObject(expected);
  });

  it('is nothing that was not asked for', async () => {
    await (await edge.post(chat())).text();
    for (const field of [
      'n',
      'logprobs',
      'format',
      'min_tokens',
      'echo',
      'priority',
      'continue_ids',
      'return_routed_experts',
    ])
      expect(lastRequest()).not.toHaveProperty(field);
  });

  it('names its key by a salt that is not its id, always the same, and gives the edge’s deadline', async () => {
    const other = await edge.newKey();
    await (await edge.post(chat())).text();
    const { tenant, deadline_ms } = lastRequest();
    await (await edge.post(chat())).text();
    expect(lastRequest().tenant).toBe(tenant);
    await (await other.post()).text();
    expect(lastRequest().tenant).not.toBe(tenant);
    expect(tenant).toMatch(/^[0-9a-f]{32}$/);
    expect(tenant).not.toContain(edge.keyId);
    expect(deadline_ms).toBeLessThanOrEqual(900_000);
    expect(deadline_ms).toBeGreaterThan(800_000);
  });

  it('is what is to be continued, without a new turn', async () => {
    const messages = [user('数数'), { role: 'assistant', content: '一、' }];
    await (await edge.post(chat({ messages, continue_final_message: true }))).text();
    expect(lastRequest().prompt.slice(-3)).toEqual([
      { text: '\n' },
      { control: 'begin' },
      { text: '助手\n一、' },
    ]);
    await (await edge.post(chat({ messages, add_generation_prompt: false }))).text();
    expect(lastRequest().prompt.slice(-3)).toEqual([
      { text: '助手\n一、' },
      { control: 'end' },
      { text: '\n' },
    ]);
  });
});

describe('priority', () => {
  it('is for keys with its scope', async () => {
    const without = await edge.newKey();
    expect(await errorOf(await without.post({ priority: -1 }))).toMatchObject({
      status: 403,
      code: 'missing_scope',
    });
    expect((await without.post({ priority: 0 })).status).toBe(200);
    const having = await edge.newKey({ scopes: ['inference', 'priority'] });
    expect((await having.post({ priority: -7 })).status).toBe(200);
    // Lower goes first here, as at vLLM; higher at the nodes.
    expect(lastRequest().priority).toBe(7);
  });
});

it('each choice may use its own answer of the key’s tokens', async () => {
  const key = await edge.newKey({ limits: { tokens_per_minute: 100 } });
  expect((await key.post({ max_tokens: 40, n: 1 })).status).toBe(200);
  const refused = await key.post({ max_tokens: 40, n: 3 });
  expect(await errorOf(refused)).toMatchObject({ status: 429, type: 'tokens' });
});

describe('a node that refuses what only it can judge', () => {
  const schema = { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'nothing' } } };
  it.each([
    ['invalid_schema', 'format', { response_format: schema }, 'response_format'],
    ['invalid_schema', 'format', { tools: [tool] }, 'tools'],
    ['invalid_grammar', 'format', { guided_grammar: 'root' }, 'guided_grammar'],
    ['invalid_value', 'sampling.logit_bias', { logit_bias: { 999999: 1 } }, 'logit_bias'],
    ['invalid_value', 'stop_token_ids.0', { stop_token_ids: [999999] }, 'stop_token_ids'],
  ])('%s of %s: %j', async (code, theirs, fields, param) => {
    node.script = refuse(400, { message: 'SECRET', type: 'invalid_request_error', param: theirs, code });
    const error = await errorOf(await edge.post(chat(fields)));
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(JSON.stringify(error)).not.toContain('SECRET');
  });

  it('and where in the schema it is', async () => {
    const message = 'format: the schema cannot be honoured: /properties/a: pattern is not a string.';
    node.script = refuse(400, { message, type: 'x', param: 'format', code: 'invalid_schema' });
    const error = await errorOf(await edge.post(chat({ response_format: schema })));
    expect(error).toMatchObject({
      param: 'response_format',
      message: 'response_format: the schema cannot be honoured: /properties/a: pattern is not a string.',
    });
  });

  it('but not with what is none of the client’s', async () => {
    node.script = refuse(400, { message: 'x', param: ['logit_bias'], code: 'invalid_value' });
    for (const param of [5, null, { logit_bias: 1 }, 'events.id']) {
      node.script = refuse(400, { message: 'x', param, code: 'invalid_value' });
      expect(await errorOf(await edge.post(chat()))).toMatchObject({ status: 502, code: 'upstream_error' });
    }
  });
});

it('an answer in one piece that runs into its deadline is a 504, and nobody else is asked', async () => {
  node.script = (generation) => {
    accept(generation);
    const usage = { prompt_tokens: 5, completion_tokens: 0, reason: 'deadline' };
    const error = { message: 'x', type: 'server_error', param: null, code: 'deadline_exceeded' };
    generation.response.end(`: usage ${JSON.stringify(usage)}\ndata: ${JSON.stringify({ error })}\n\n`);
  };
  const before = node.generations.length;
  const response = await edge.post(chat());
  expect(response.headers.get('x-should-retry')).toBe('false');
  expect(await errorOf(response)).toMatchObject({ status: 504, code: 'deadline_exceeded' });
  expect(node.generations.length).toBe(before + 1);
});

it('tokens that were reused are counted for the key and told to the client', async () => {
  const key = await edge.newKey();
  node.script = (generation) => {
    accept(generation);
    const usage = {
      prompt_tokens: 5,
      completion_tokens: 1,
      total_tokens: 6,
      prompt_tokens_details: { cached_tokens: 3 },
    };
    generation.response.end(
      streamOf(generation.request, '好')
        .replace(/"usage":\{[^}]*\}/, `"usage":${JSON.stringify(usage)}`)
        .replace('"reason"', '"cached_tokens":3,"reason"'),
    );
  };
  const body = (await (await key.post()).json()) as { usage: object };
  expect(body.usage).toMatchObject({ prompt_tokens_details: { cached_tokens: 3 } });
  expect((await key.usage())[0]).toMatchObject({ prompt_tokens: 5, cached_tokens: 3, completion_tokens: 1 });
});

describe('a conversation that is too long', () => {
  /** Like a node's: prompt and one token of an answer must fit the 4,096 that the scripted node has. */
  const strict = (generation: Generation) => {
    const count = tokensOf(generation.request.prompt).length;
    if (count < 4_096) return answer('好')(generation);
    const message = `This model's maximum context length is 4096 tokens. However, your prompt has ${count} tokens`;
    return refuse(400, { message, code: 'context_length_exceeded', param: 'prompt', type: 'x' })(generation);
  };
  const round = (n: number) => [
    user(`${n}${'问'.repeat(1_000)}`),
    { role: 'assistant', content: '答'.repeat(1_000) },
  ];
  const messages = [{ role: 'system', content: '系' }, ...round(1), ...round(2), ...round(3), user('末')];

  it('is refused with both numbers', async () => {
    node.script = strict;
    const asked = node.tokenized.length;
    for (const truncation of ['disabled', undefined]) {
      const error = await errorOf(await edge.post(chat({ messages, truncation })));
      expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages' });
      expect(error).toHaveProperty('message', expect.stringMatching(/4096.*\d{4}/));
    }
    expect(node.tokenized.length).toBe(asked);
  });

  it('or loses its oldest rounds, with one question to the node, and leaves room for the answer', async () => {
    node.script = strict;
    const asked = node.tokenized.length;
    for (const [max_tokens, expected] of [
      [undefined, ['3', '末']],
      [50, ['2', '3', '末']],
      [4_000, ['3', '末']],
    ] as const) {
      const response = await edge.post(chat({ messages, truncation: 'auto', max_tokens }));
      expect(response.status).toBe(200);
      await response.text();
      const texts = lastRequest().prompt.flatMap((segment) => ('text' in segment ? [segment.text] : []));
      const questions = texts.filter((text) => text.startsWith('用户\n')).map((text) => text.charAt(3));
      expect(questions).toEqual(expected);
      expect(texts[0]).toBe('系统\n系');
    }
    expect(node.tokenized.length).toBe(asked + 3);
  });

  it('is not asked about as long as it fits', async () => {
    node.script = strict;
    const asked = node.tokenized.length;
    expect((await edge.post(chat({ truncation: 'auto' }))).status).toBe(200);
    expect(node.tokenized.length).toBe(asked);
  });

  it('is refused where its last question alone is too long, and charged nothing', async () => {
    node.script = strict;
    const key = await edge.newKey({ limits: { tokens_per_minute: 10_000 } });
    const long = [user('问'.repeat(5_000))];
    const response = await key.post({ messages: long, truncation: 'auto' });
    expect(await errorOf(response)).toMatchObject({ status: 400, code: 'context_length_exceeded' });
    expect((await key.usage())[0]).toMatchObject({
      prompt_tokens: 0,
      completion_tokens: 0,
      unsettled_tokens: 0,
    });
  });
});

describe('POST /v1/tokenize', () => {
  const tokenize = (body: object) => edge.post(body, { path: '/v1/tokenize' });
  const texts = () => node.tokenized.at(-1)!;

  it.each([
    [{ prompt: '从前' }, [{ control: 'bos' }, { text: '从前' }]],
    [{ prompt: '从前', add_special_tokens: false }, [{ text: '从前' }]],
    [{ prompt: '' }, [{ control: 'bos' }]],
    [
      { messages: [user('好')] },
      [
        { control: 'bos' },
        { control: 'begin' },
        { text: '用户\n好' },
        { control: 'end' },
        { text: '\n' },
        { control: 'begin' },
        { text: '助手\n' },
      ],
    ],
    [
      { messages: [user('好')], add_generation_prompt: false, add_special_tokens: false },
      [{ control: 'begin' }, { text: '用户\n好' }, { control: 'end' }, { text: '\n' }],
    ],
  ])('%j', async (body, prompt) => {
    for (const model of ['huozi', undefined]) {
      const response = await tokenize({ model, ...body });
      expect(texts()).toEqual(prompt);
      const tokens = tokensOf(texts());
      expect(await response.json()).toEqual({ tokens, count: tokens.length, max_model_len: 4096 });
    }
  });

  it('of nothing is nothing', async () => {
    const body = { prompt: '', add_special_tokens: false };
    expect(await (await tokenize(body)).json()).toEqual({ tokens: [], count: 0, max_model_len: 4096 });
  });

  it('counts tools as a completion would', async () => {
    await tokenize({ messages: [user('好')], tools: [tool] });
    const counted = texts();
    await (await edge.post(chat({ messages: [user('好')], tools: [tool] }))).text();
    expect(lastRequest().prompt).toEqual(counted);
  });

  it.each([
    [{}, 'messages'],
    [{ prompt: 5 }, 'prompt'],
    [{ prompt: 'x', temperature: 1 }, 'temperature'],
    [{ prompt: 'x', messages: [user('x')] }, 'prompt'],
    [{ messages: [{ role: 'x', content: '' }] }, 'messages.0.role'],
    [{ model: 'other', prompt: 'x' }, 'model'],
  ])('refuses %j by name', async (body, param) => {
    expect(await errorOf(await tokenize(body))).toMatchObject({ param, type: 'invalid_request_error' });
  });

  it('needs a key, counts as a request, uses no tokens', async () => {
    expect((await fetch(`${edge.url}/v1/tokenize`, { method: 'POST', body: '{}' })).status).toBe(401);
    const key = await edge.newKey({ limits: { requests_per_minute: 2, tokens_per_minute: 1 } });
    const post = () =>
      fetch(`${edge.url}/v1/tokenize`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key.key}` },
        body: JSON.stringify({ prompt: '从前' }),
      });
    expect([(await post()).status, (await post()).status, (await post()).status]).toEqual([200, 200, 429]);
    expect((await key.usage())[0]).toMatchObject({ requests: 2, prompt_tokens: 0, errors: 0 });
  });

  it.each([
    [503, { status: 503, code: 'no_node_available' }],
    [404, { status: 502, code: 'upstream_error' }],
    [500, { status: 502, code: 'upstream_error' }],
  ])('passes on that a node answers %i', async (status, expected) => {
    node.tokenize = () => status;
    expect(await errorOf(await tokenize({ prompt: 'x' }))).toMatchObject(expected);
  });
});
