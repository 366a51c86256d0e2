/** What an answer may be besides text: several choices, log-probabilities, an echo, tool calls. Scripted engine. */
import { expect, test } from 'vitest';
import type { TokenLogprob } from '../engine/types.ts';
import { generateBody, send } from './testing/client.ts';
import type { ScriptedGeneration } from './testing/scripted-engine.ts';
import { startTestNode } from './testing/start.ts';

type Body = Parameters<typeof generateBody>[0];

/** Starts a request for `count` choices; the script goes on when all have arrived. */
async function ask(body: Body, count = 1) {
  const { url, engine } = await startTestNode();
  const arrivals = Array.from({ length: count }, () => engine.arrival());
  const answer = send(url, '/v1/generate', generateBody(body));
  const generations = await Promise.all(arrivals);
  return { url, engine, answer, generations: generations as [ScriptedGeneration, ...ScriptedGeneration[]] };
}

interface Chunk {
  choices: {
    index: number;
    delta?: { role?: string; content?: string; tool_calls?: object[] };
    text?: string;
    logprobs: unknown;
    finish_reason: string | null;
  }[];
  usage?: object;
}

function read(text: string) {
  return text.split('\n\n').flatMap((event) => {
    const line = (start: string) =>
      event
        .split('\n')
        .find((each) => each.startsWith(start))
        ?.slice(start.length);
    const data = line('data: ');
    if (data === undefined || data === '[DONE]') return [];
    const ids = line(': ids ')?.split(',').map(Number) ?? [];
    return [{ position: Number(line('id: ')), ids, ...(JSON.parse(data) as Chunk) }];
  });
}

const logprob = (token: string, bytes = [...Buffer.from(token)]): TokenLogprob => ({
  token,
  logprob: -0.5,
  bytes,
  top_logprobs: [{ token, logprob: -0.5, bytes }],
});

test('choices: each under its index, positions over all of them, one end', async () => {
  const { answer, generations } = await ask({ n: 3, events: { include_usage: true } }, 3);
  expect(generations.map(({ request }) => request.sampling.seed)).toEqual([1, 2, 3]);
  const stream = (await answer).read();
  const [a, b, c] = generations as [ScriptedGeneration, ScriptedGeneration, ScriptedGeneration];
  a.text('甲', 10);
  b.text('乙', 20, 21);
  b.end('stop', undefined, [2]);
  await stream.until('"finish_reason":"stop"');
  expect(stream.text).not.toContain('[DONE]');
  c.text('丙', 30);
  c.end('length');
  a.text('丁', 11);
  a.end('stop', undefined, [2]);
  expect(await stream.ended).toBe(true);
  const events = read(stream.text);
  const told = events.map(({ choices: [choice], position, ids }) => [
    choice?.index,
    choice?.delta?.content ?? choice?.finish_reason,
    position,
    ids.join(),
  ]);
  expect(told).toEqual([
    [0, '', 0, ''],
    [1, '', 0, ''],
    [2, '', 0, ''],
    [0, '甲', 1, '10'],
    [1, '乙', 3, '20,21'],
    [1, 'stop', 4, '2'],
    [2, '丙', 5, '30'],
    [2, 'length', 5, ''],
    [0, '丁', 6, '11'],
    [0, 'stop', 7, '2'],
    [undefined, undefined, 7, ''],
  ]);
  expect(events.at(-1)?.usage).toEqual({ prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 });
  expect(stream.text).toMatch(
    /: usage \{"prompt_tokens":3,"completion_tokens":7,"reason":"length"\}\ndata: \[DONE\]\n\n$/,
  );
  expect(stream.count('[DONE]')).toBe(1);
});

test('choices: one that fails ends all, with one error', async () => {
  const { answer, generations, engine } = await ask({ n: 2 }, 2);
  const stream = (await answer).read();
  const [a, b] = generations as [ScriptedGeneration, ScriptedGeneration];
  a.text('甲', 10);
  b.end('error', new Error('x'));
  expect(a.cancelled).toBe(true);
  engine.step();
  await stream.ended;
  expect(stream.text).toContain('"code":"internal_error"');
  expect(stream.text).toContain(': usage {"prompt_tokens":3,"completion_tokens":1,"reason":"error"}');
  expect(stream.text).not.toContain('finish_reason":"');
});

test('choices in one body', async () => {
  const { answer, generations } = await ask({ n: 2, events: { stream: false } }, 2);
  const [a, b] = generations as [ScriptedGeneration, ScriptedGeneration];
  b.text('乙', 2);
  b.end('length');
  a.text('甲', 1);
  a.end('stop');
  expect(await (await answer).read().json()).toMatchObject({
    choices: [
      { index: 0, message: { content: '甲' }, finish_reason: 'stop' },
      { index: 1, message: { content: '乙' }, finish_reason: 'length' },
    ],
    usage: { prompt_tokens: 3, completion_tokens: 2 },
  });
});

test('log-probabilities of a chat', async () => {
  for (const stream of [true, false]) {
    const { answer, generations } = await ask({ logprobs: 1, events: { stream } });
    const [generation] = generations;
    expect(generation.request.logprobs).toBe(1);
    generation.detailed('甲', [5], { logprobs: [logprob('甲')] });
    generation.end('stop', undefined, [6, 2], { logprobs: [logprob('x')] });
    const told = (await answer).read();
    await told.ended;
    const all = [logprob('甲'), logprob('x')];
    if (!stream) {
      expect(JSON.parse(told.text)).toMatchObject({
        choices: [{ logprobs: { content: all, refusal: null } }],
      });
      continue;
    }
    const parts = read(told.text).map(({ choices: [choice] }) => choice?.logprobs);
    expect(parts).toEqual([null, { content: [all[0]], refusal: null }, { content: [all[1]], refusal: null }]);
  }
});

test('log-probabilities of a completion say where each token begins', async () => {
  for (const stream of [true, false]) {
    const { answer, generations } = await ask({ logprobs: 1, events: { object: 'text_completion', stream } });
    const [generation] = generations;
    const [first, second] = [
      [0xf0, 0x9f],
      [0x98, 0x80],
    ] as const;
    generation.detailed('甲😀', [5, 6, 7], {
      logprobs: [
        logprob('甲'),
        logprob('bytes:\\xf0\\x9f', [...first]),
        logprob('bytes:\\x98\\x80', [...second]),
      ],
    });
    generation.detailed('乙', [8], { logprobs: [logprob('乙')] });
    generation.end('stop');
    const told = (await answer).read();
    await told.ended;
    const chunks = stream ? read(told.text) : [JSON.parse(told.text) as Chunk];
    const lists = chunks.flatMap(({ choices: [choice] }) =>
      choice?.logprobs ? [choice.logprobs as Record<string, unknown[]>] : [],
    );
    expect(lists.flatMap(({ text_offset }) => text_offset)).toEqual([0, 1, 1, 2]);
    expect(lists.flatMap(({ tokens }) => tokens).slice(0, 2)).toEqual(['甲', 'bytes:\\xf0\\x9f']);
    expect(lists[0]?.top_logprobs?.[0]).toEqual({ 甲: -0.5 });
    expect(lists[0]?.token_logprobs?.[0]).toBe(-0.5);
  }
});

test('an echo is the prompt, told once, before the answer', async () => {
  const body = { echo: true, events: { object: 'text_completion' as const } };
  const { answer, generations } = await ask(body);
  generations[0].text('！', 5);
  generations[0].end('stop');
  const told = (await answer).read();
  await told.ended;
  expect(read(told.text).map(({ position, choices: [choice] }) => [position, choice?.text])).toEqual([
    [0, '你好'],
    [1, '！'],
    [1, ''],
  ]);
  const whole = await ask({ ...body, events: { ...body.events, stream: false } });
  whole.generations[0].text('！', 5);
  whole.generations[0].end('stop');
  expect(await (await whole.answer).read().json()).toMatchObject({ choices: [{ text: '你好！' }] });
  const later = await ask({ ...body, continue_ids: [4] });
  later.generations[0].text('！', 5);
  later.generations[0].end('stop');
  const rest = (await later.answer).read();
  await rest.ended;
  expect(rest.text).not.toContain('你好');
});

const tools = {
  type: 'tools' as const,
  tools: [{ name: 'f', parameters: { type: 'object', properties: { a: { type: 'integer' } } } }],
  choice: 'auto' as const,
  parallel: true,
};

test('tool calls: deltas with ids told once, every token told with some event', async () => {
  const { answer, generations } = await ask({ format: tools });
  const [generation] = generations;
  expect(generation.request.grammar).toMatchObject({ trigger: '<tool_call>' });
  const pieces = [
    '好的',
    '。\n',
    '<tool',
    '_call>\n',
    '{"name":"f","argu',
    'ments":{"a"',
    ':1}',
    '}\n</tool_call>',
  ];
  for (const [i, piece] of pieces.entries()) generation.text(piece, 10 + i);
  generation.end('stop', undefined, [2]);
  const told = (await answer).read();
  await told.ended;
  const events = read(told.text);
  expect(events.map(({ choices: [choice] }) => choice?.delta)).toEqual([
    { role: 'assistant', content: '' },
    { content: '好的' },
    { content: '。' },
    {
      tool_calls: [
        {
          index: 0,
          id: expect.stringMatching(/^call_/),
          type: 'function',
          function: { name: 'f', arguments: '{"a"' },
        },
      ],
    },
    { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
    {},
  ]);
  expect(events.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls');
  let ids = 0;
  for (const event of events) {
    ids += event.ids.length;
    expect(event.position).toBe(ids);
  }
  expect(ids).toBe(9);
});

test('tool calls go on elsewhere after any event', async () => {
  const pieces = ['嗯', ' <tool_call>', '\n{"name":"f",', '"arguments":{', '"a":12', '3}}', '\n</tool_call>'];
  const whole = await ask({ format: tools });
  for (const [i, piece] of pieces.entries()) whole.generations[0].text(piece, i);
  whole.generations[0].end('stop', undefined, [99]);
  const told = (await whole.answer).read();
  await told.ended;
  const events = read(told.text);
  for (let cut = 1; cut < events.length - 1; cut++) {
    const continue_ids = events.slice(0, cut + 1).flatMap(({ ids }) => ids);
    const { answer, generations } = await ask({ format: tools, continue_ids });
    const [generation] = generations;
    generation.continued(pieces.slice(0, continue_ids.length).join(''));
    for (const [i, piece] of pieces.entries()) if (i >= continue_ids.length) generation.text(piece, i);
    generation.end('stop', undefined, [99]);
    const rest = (await answer).read();
    await rest.ended;
    expect(read(rest.text)).toEqual(events.slice(cut + 1));
  }
});

test('tool calls in one body: no content beside them unless there is some', async () => {
  for (const before of ['', '好']) {
    const { answer, generations } = await ask({ format: tools, events: { stream: false } });
    generations[0].text(`${before}<tool_call>\n{"name":"f","arguments":{"a":1}}\n</tool_call>`, 1);
    generations[0].end('stop');
    expect(await (await answer).read().json()).toMatchObject({
      choices: [
        {
          finish_reason: 'tool_calls',
          message: {
            content: before || null,
            tool_calls: [
              { id: expect.any(String), type: 'function', function: { name: 'f', arguments: '{"a":1}' } },
            ],
          },
        },
      ],
    });
  }
});

test('what cannot be is refused, and named', async () => {
  const { url } = await startTestNode();
  const refused: [Body, string, string][] = [
    [{ echo: true }, 'echo', 'invalid_value'],
    [{ echo: true, logprobs: 1, events: { object: 'text_completion' } }, 'echo', 'invalid_value'],
    [{ n: 2, continue_ids: [1] }, 'continue_ids', 'invalid_value'],
    [{ n: 9 }, 'n', 'invalid_value'],
    [{ logprobs: 21 }, 'logprobs', 'invalid_value'],
    [{ format: tools, events: { object: 'text_completion' } }, 'format', 'invalid_value'],
    [{ format: { ...tools, choice: { name: 'g' } } }, 'format.choice', 'invalid_value'],
    [{ format: { ...tools, tools: [] } }, 'format.tools', 'invalid_value'],
    [
      { format: { type: 'json_schema', schema: { type: 'number', multipleOf: 2 } } },
      'format',
      'invalid_schema',
    ],
    [{ format: { type: 'json_schema', schema: { $ref: '#' } } }, 'format', 'invalid_schema'],
    [{ format: { type: 'grammar', gbnf: 'root ::= (' } }, 'format', 'invalid_grammar'],
    [{ format: { ...tools, tools: [{ name: 'f', parameters: { not: {} } }] } }, 'format', 'invalid_schema'],
    [
      { sampling: { ...generateBody().sampling, logit_bias: { x: 1 } } },
      'sampling.logit_bias.x',
      'invalid_value',
    ],
    [{ sampling: { ...generateBody().sampling, typical_p: 0 } }, 'sampling.typical_p', 'invalid_value'],
  ];
  for (const [body, param, code] of refused) {
    const answer = (await send(url, '/v1/generate', generateBody(body))).read();
    expect(await answer.json(), JSON.stringify(body)).toMatchObject({ error: { param, code } });
    expect(answer.status).toBe(400);
  }
});
