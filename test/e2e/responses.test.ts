/** OpenAI's own client on the Responses API, against the real edge, node and model. */
import { Huozi } from 'huozi';
import { Responses } from 'huozi/responses';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from '../../src/dev/dev-key.ts';
import { until } from '../edge/edge.ts';
import { lacks, type Stack, startStack } from '../stack.ts';

let stack: Stack;
let client: OpenAI;

beforeAll(async () => {
  stack = await startStack();
  client = new OpenAI({ baseURL: stack.baseURL, apiKey: stack.apiKey, maxRetries: 0 });
});
afterAll(() => stack?.stop());

const counted = '1、2、3、4、5、6、7、8、9、10';

describe('create', () => {
  it('answers a string under instructions', async () => {
    const response = await client.responses.create({
      model: 'huozi',
      instructions: '你是一个智能助手',
      input: '从1数到10',
      temperature: 0,
      metadata: { topic: 'counting' },
    });
    expect(response.output_text).toBe(counted);
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      error: null,
      incomplete_details: null,
      instructions: '你是一个智能助手',
      metadata: { topic: 'counting' },
      temperature: 0,
      top_p: 0.9,
      tools: [],
    });
    expect(response.id).toMatch(/^resp_[0-9a-f]{48}$/);
    const { usage } = response;
    expect(usage!.total_tokens).toBe(usage!.input_tokens + usage!.output_tokens);
    expect(usage!.output_tokens).toBeGreaterThan(10);
  });

  it('streams the typed events, which the client puts together to the same response', async () => {
    const types: string[] = [];
    const stream = client.responses.stream({ model: 'huozi', input: '从1数到10', temperature: 0 });
    stream.on('event', (event) => types.push(event.type));
    const numbers: number[] = [];
    stream.on('event', (event) => numbers.push(event.sequence_number));
    const response = await stream.finalResponse();
    expect(response.output_text).toBe(counted);
    expect(numbers).toEqual(numbers.map((_, at) => at));
    const withoutRepeats = types.filter((type, at) => type !== types[at - 1]);
    expect(withoutRepeats).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    // One event a token and not one lump: that is what streaming means.
    const deltas = types.filter((type) => type === 'response.output_text.delta').length;
    expect(deltas).toBeGreaterThan(response.usage!.output_tokens - 3);
    const stored = await client.responses.retrieve(response.id);
    expect(stored.output_text).toBe(counted);
    expect(stored.usage).toEqual(response.usage);
  });

  it('goes on from a previous response, without its instructions', async () => {
    const first = await client.responses.create({
      model: 'huozi',
      instructions: '你是一个智能助手',
      input: '从1数到10',
      temperature: 0,
    });
    const second = await client.responses.create({
      model: 'huozi',
      previous_response_id: first.id,
      input: '从1数到5',
      temperature: 0,
    });
    const asOne = await client.chat.completions.create({
      model: 'huozi',
      messages: [
        { role: 'user', content: '从1数到10' },
        { role: 'assistant', content: first.output_text },
        { role: 'user', content: '从1数到5' },
      ],
      temperature: 0,
    });
    expect(second.output_text).toBe(asOne.choices[0]!.message.content);
    expect(second.usage!.input_tokens).toBe(asOne.usage!.prompt_tokens);
    expect(second.previous_response_id).toBe(first.id);
    const third = await client.responses.create({
      model: 'huozi',
      previous_response_id: second.id,
      input: '从1数到5',
      temperature: 0,
    });
    expect(third.usage!.input_tokens).toBeGreaterThan(second.usage!.input_tokens);
    const count = await client.responses.inputTokens.count({
      model: 'huozi',
      previous_response_id: second.id,
      input: '从1数到5',
    });
    expect(count).toEqual({ object: 'response.input_tokens', input_tokens: third.usage!.input_tokens });
    const items = await client.responses.inputItems.list(third.id);
    expect(items.data).toMatchObject([{ role: 'user', content: [{ type: 'input_text', text: '从1数到5' }] }]);
  });

  it('ends at max_output_tokens as incomplete', async () => {
    const response = await client.responses.create({
      model: 'huozi',
      input: '从1数到10',
      temperature: 0,
      max_output_tokens: 3,
    });
    expect(response.status).toBe('incomplete');
    expect(response.incomplete_details).toEqual({ reason: 'max_output_tokens' });
    expect(response.usage!.output_tokens).toBe(3);
  });
});

describe.skipIf(lacks('forms'))('functions', () => {
  const tools: OpenAI.Responses.FunctionTool[] = [
    {
      type: 'function',
      name: 'weather',
      description: '查询天气',
      strict: true,
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', enum: ['哈尔滨', '北京'] } },
        required: ['city'],
        additionalProperties: false,
      },
    },
  ];
  const ask = {
    model: 'huozi',
    input: '哈尔滨天气',
    temperature: 0,
    tools,
    tool_choice: 'required',
  } as const;

  it('are called in the form of their schema, and answered from a result', async () => {
    const first = await client.responses.create(ask);
    const call = first.output.find((item) => item.type === 'function_call')!;
    expect(call.name).toBe('weather');
    expect(['哈尔滨', '北京']).toContain((JSON.parse(call.arguments) as { city: string }).city);
    const second = await client.responses.create({
      model: 'huozi',
      previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: call.call_id, output: '零下十二度' }],
      tools,
      tool_choice: 'none',
      temperature: 0,
      max_output_tokens: 64,
    });
    expect(second.output.map((item) => item.type)).toEqual(['message']);
    expect(second.usage!.input_tokens).toBeGreaterThan(first.usage!.output_tokens);
  });

  it('are streamed in pieces that come to the same call', async () => {
    const whole = await client.responses.create(ask);
    const stream = client.responses.stream(ask);
    let pieces = '';
    stream.on('response.function_call_arguments.delta', ({ delta }) => {
      pieces += delta;
    });
    const streamed = await stream.finalResponse();
    const argumentsOf = ({ output }: OpenAI.Responses.Response) =>
      output.map((item) => (item.type === 'function_call' ? item.arguments : ''));
    expect(argumentsOf(streamed)).toEqual(argumentsOf(whole));
    expect(pieces).toBe(argumentsOf(whole).join(''));
  });

  it('are parsed by the client', async () => {
    const parsed = await client.responses.parse(ask);
    const call = parsed.output.find((item) => item.type === 'function_call')!;
    expect(call.parsed_arguments).toEqual(JSON.parse(call.arguments));
  });
});

it.skipIf(lacks('forms'))('an answer takes the form of a JSON schema', async () => {
  const parsed = await client.responses.parse({
    model: 'huozi',
    input: '从1数到3',
    temperature: 0,
    text: {
      format: {
        type: 'json_schema',
        name: 'count',
        schema: {
          type: 'object',
          properties: { last: { type: 'integer', enum: [1, 2, 3] } },
          required: ['last'],
          additionalProperties: false,
        },
      },
    },
  });
  expect([1, 2, 3]).toContain((JSON.parse(parsed.output_text) as { last: number }).last);
});

it.skipIf(lacks('logprobs'))('log-probabilities come with the tokens', async () => {
  const { output } = await client.responses.create({
    model: 'huozi',
    input: '从1数到5',
    temperature: 0,
    include: ['message.output_text.logprobs'],
    top_logprobs: 2,
  });
  const [item] = output as OpenAI.Responses.ResponseOutputMessage[];
  const part = item!.content[0] as OpenAI.Responses.ResponseOutputText;
  expect(part.logprobs!.map(({ token }) => token).join('')).toBe(part.text);
  for (const { logprob, top_logprobs } of part.logprobs!) {
    expect(logprob).toBeLessThanOrEqual(0);
    expect(top_logprobs).toHaveLength(2);
    // Greedy: the token that was taken is the likeliest.
    expect(top_logprobs[0]!.logprob).toBe(logprob);
  }
});

describe('in the background', () => {
  const ask = { model: 'huozi', input: '从1数到10', temperature: 0, background: true } as const;

  it('a stream that its reader left is read on from where it was', async () => {
    let before = '';
    let last: OpenAI.Responses.ResponseStreamEvent | undefined;
    let id = '';
    for await (const event of await client.responses.create({ ...ask, stream: true })) {
      last = event;
      if (event.type === 'response.created') id = event.response.id;
      if (event.type !== 'response.output_text.delta') continue;
      before += event.delta;
      if (before.includes('3')) break;
    }
    expect(before).not.toBe(counted);
    const starting_after = last!.sequence_number;
    // By OpenAI's client, and by ours.
    let rest = '';
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after })) {
      expect(event.sequence_number).toBe(last!.sequence_number + 1);
      last = event;
      if (event.type === 'response.output_text.delta') rest += event.delta;
    }
    expect(before + rest).toBe(counted);
    const ours = new Responses(new Huozi({ baseURL: stack.baseURL, apiKey: stack.apiKey }));
    let again = '';
    const stream = await ours.stream(id, { startingAfter: starting_after });
    for await (const text of stream.textStream) again += text;
    expect(before + again).toBe(counted);
    expect((await stream.finalResponse()).output_text).toBe(counted);
  });

  it('is polled, by our client too, whose leaving ends nothing', async () => {
    const ours = new Responses(new Huozi({ baseURL: stack.baseURL, apiKey: stack.apiKey }));
    let left = '';
    for await (const event of await ours.create({ ...ask, stream: true })) {
      if (event.type === 'response.created') left = event.response.id;
      break;
    }
    const { id } = await ours.create(ask);
    for (const one of [left, id]) {
      const ended = await until(async () => {
        const now = await ours.retrieve(one);
        return now.status !== 'in_progress' && now;
      });
      expect(ended).toMatchObject({ status: 'completed', output_text: counted });
    }
  });
});

describe('afterwards', () => {
  it('a response is read and deleted by its own key alone', async () => {
    const { id } = await client.responses.create({ model: 'huozi', input: '从1数到5', temperature: 0 });
    const { key } = await createKey(new URL(stack.baseURL).origin, stack.adminToken, { name: 'other' });
    const stranger = new OpenAI({ baseURL: stack.baseURL, apiKey: key, maxRetries: 0 });
    const theirs = [
      () => stranger.responses.retrieve(id),
      () => stranger.responses.delete(id),
      () => stranger.responses.cancel(id),
      () => stranger.responses.inputItems.list(id),
      () => stranger.responses.create({ model: 'huozi', input: '好', previous_response_id: id }),
    ];
    for (const call of theirs) await expect(call()).rejects.toMatchObject({ status: 404 });
    expect((await client.responses.retrieve(id)).status).toBe('completed');
    // One that has ended stays as it is.
    expect((await client.responses.cancel(id)).status).toBe('completed');
    await client.responses.delete(id);
    await expect(client.responses.retrieve(id)).rejects.toMatchObject({
      status: 404,
      code: 'response_not_found',
    });
  });

  it('one that was not to be stored is not there', async () => {
    const { id } = await client.responses.create({
      model: 'huozi',
      input: '从1数到5',
      temperature: 0,
      store: false,
    });
    await expect(client.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
  });

  it.skipIf(lacks('ignore_eos'))(
    'one that is being made is cancelled by its id, and its node is free',
    async () => {
      const stream = await client.responses.create({
        model: 'huozi',
        input: '从1数到10',
        temperature: 0,
        max_output_tokens: 1_500,
        ignore_eos: true,
        stream: true,
      } as OpenAI.Responses.ResponseCreateParamsStreaming);
      let cancelled: Promise<OpenAI.Responses.Response> | undefined;
      let deltas = 0;
      let last: OpenAI.Responses.ResponseStreamEvent | undefined;
      for await (const event of stream) {
        last = event;
        if (event.type === 'response.output_text.delta') deltas++;
        if (event.type === 'response.created') {
          expect((await client.responses.retrieve(event.response.id)).status).toBe('in_progress');
          cancelled = client.responses.cancel(event.response.id);
        }
      }
      expect((await cancelled)!.status).toBe('cancelled');
      expect(last).toMatchObject({
        type: 'response.incomplete',
        response: { status: 'cancelled', error: null },
      });
      expect(deltas).toBeLessThan(1_000);
      const { id } = (last as OpenAI.Responses.ResponseIncompleteEvent).response;
      expect((await client.responses.retrieve(id)).status).toBe('cancelled');
      const node = await fetch(`${stack.node.url}/v1/node`, {
        headers: { authorization: `Bearer ${stack.nodeToken}` },
      });
      expect(await node.json()).toMatchObject({ active: 0, queued: 0 });
    },
  );
});
