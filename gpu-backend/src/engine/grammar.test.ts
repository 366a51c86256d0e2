/** Answers of huozi-tiny in a given form. It was never trained on any: whatever it would say, the form holds. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonObjectGrammar, jsonSchemaGrammar } from '../grammar/json-schema.ts';
import { schemas } from '../grammar/testing/schemas.ts';
import { toolsGrammar } from '../grammar/tools.ts';
import type { Sampling } from '../protocol.ts';
import { loadEngine } from './engine.ts';
import { ContinuationError } from './errors.ts';
import { ask, greedy, start, tinyModel } from './testing/generate.ts';
import type { AnswerGrammar, Engine } from './types.ts';

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as (to: Ajv2020) => void)(ajv);

let engine: Engine;
beforeAll(async () => {
  const options = { slots: 8, contextTokens: 8192, batchTokens: 256, threads: 1, gpuLayers: 0 };
  engine = await loadEngine({ modelPath: tinyModel, ...options });
});
afterAll(() => engine?.close());

const seeded = (seed: number): Sampling => ({ ...greedy, temperature: 0.9, top_p: 0.95, seed });
const samplings: Sampling[] = [greedy, seeded(1), { ...seeded(2), temperature: 1.6, top_p: 1 }];

const write = (grammar: AnswerGrammar, sampling: Sampling, more: object = {}) =>
  start(engine, { promptIds: ask(engine, '写一个JSON'), grammar, sampling, maxTokens: 200, ...more }).answer;

describe('a constrained answer', () => {
  it('is valid under its schema, for every schema and seed, whenever it came to its end', async () => {
    let ended = 0;
    let all = 0;
    for (const [name, schema] of Object.entries(schemas)) {
      const validate = ajv.compile(schema as object);
      const grammar = { gbnf: jsonSchemaGrammar(schema) };
      const answers = await Promise.all(samplings.map((sampling) => write(grammar, sampling)));
      for (const { reason, text } of answers) {
        expect(['stop', 'length'], name).toContain(reason);
        all++;
        if (reason === 'length') continue;
        ended++;
        expect(validate(JSON.parse(text)), `${name}: ${text}`).toBe(true);
      }
    }
    // What has no end of its own, such as a string of any length, may run into its limit.
    expect(ended / all).toBeGreaterThan(0.8);
  }, 120_000);

  it('is an object', async () => {
    for (const sampling of samplings) {
      const { text, reason } = await write({ gbnf: jsonObjectGrammar() }, sampling);
      expect(text).toMatch(/^\{/);
      if (reason === 'stop') expect(JSON.parse(text)).toBeTypeOf('object');
    }
  });

  it('ends where the grammar ends, also with ignore_eos and min_tokens, and not before', async () => {
    for (const more of [{}, { ignoreEos: true }, { minTokens: 50 }]) {
      const answer = await write({ gbnf: 'root ::= "甲乙丙"' }, greedy, more);
      expect(answer).toMatchObject({ text: '甲乙丙', reason: 'stop' });
      expect(answer.ids).toHaveLength(answer.completionTokens);
    }
    const long = await write({ gbnf: 'root ::= [甲乙]{40}' }, greedy);
    expect(long.text).toMatch(/^[甲乙]{40}$/);
  });

  it('may be spelled by byte tokens, which must come to whole characters', async () => {
    // In no small vocabulary.
    const { text, reason } = await write(
      { gbnf: 'root ::= ("𠮷" | "龘" | [\\U00020000-\\U0002000f]){3}' },
      seeded(3),
    );
    expect(reason).toBe('stop');
    expect([...text]).toHaveLength(3);
    expect(text).not.toContain('�');
  });

  it('never has a marker in its text, though the grammar allows any character', async () => {
    const { text, ids, reason } = await write(
      { gbnf: 'root ::= .{30}' },
      { ...seeded(5), temperature: 2, top_p: 1 },
    );
    const { bos, eos, begin, end } = engine.info.tokens;
    expect(reason).toBe('stop');
    expect([...text].length).toBe(30);
    for (const id of ids.slice(0, -1)) expect([bos, eos, begin, end]).not.toContain(id);
  });

  it('goes on from any of its tokens as it would have gone on', async () => {
    const grammar = { gbnf: jsonSchemaGrammar(schemas['Chinese names and values']) };
    const whole = await write(grammar, seeded(7));
    expect(whole.reason).toBe('stop');
    for (let cut = 1; cut < whole.ids.length; cut += Math.ceil(whole.ids.length / 10)) {
      const rest = await write(grammar, seeded(7), { continueIds: whole.ids.slice(0, cut) });
      expect(rest.ids).toEqual(whole.ids.slice(cut));
      expect(rest.continued + rest.text).toBe(whole.text);
    }
    const wrong = { promptIds: ask(engine, '你好'), grammar, continueIds: whole.ids.slice(1, 3) };
    expect(() => start(engine, wrong)).toThrow(ContinuationError);
  });
});

describe('tool calls', () => {
  const tools = [
    {
      name: 'get_weather',
      parameters: {
        type: 'object',
        properties: {
          city: { type: 'string', maxLength: 10 },
          days: { type: 'integer', minimum: 1, maximum: 7 },
        },
        required: ['city'],
      },
    },
    { name: 'stop', parameters: {} },
  ];
  const call = /^<tool_call>\n(\{.*\})\n<\/tool_call>$/s;

  it('are forced, of a name or any', async () => {
    const validate = ajv.compile(tools[0]!.parameters);
    for (const choice of ['required', { name: 'get_weather' }] as const) {
      const grammar = toolsGrammar({ type: 'tools', tools, choice, parallel: false });
      for (const sampling of samplings) {
        const { text, reason } = await write(grammar, sampling);
        if (reason === 'length' && choice === 'required') continue;
        expect(reason).toBe('stop');
        const { name, arguments: args } = JSON.parse(call.exec(text)?.[1] as string) as Record<
          string,
          unknown
        >;
        if (choice !== 'required') expect(name).toBe('get_weather');
        if (name === 'get_weather') expect(validate(args)).toBe(true);
        else expect(name).toBe('stop');
      }
    }
  });

  it('bind from their beginning on where they may come, and leave other answers alone', async () => {
    const grammar = toolsGrammar({ type: 'tools', tools, choice: 'auto', parallel: false });
    const promptIds = ask(engine, '背诵《静夜思》');
    const free = await start(engine, { promptIds, sampling: seeded(1) }).answer;
    const same = await start(engine, { promptIds, sampling: seeded(1), grammar }).answer;
    expect(same.ids).toEqual(free.ids);
    // As if the model had begun a call.
    const begun = [...engine.tokenize([{ text: '好的 <tool_call>' }])];
    const called = await start(engine, {
      promptIds,
      sampling: seeded(1),
      grammar,
      continueIds: begun,
      maxTokens: 200,
    }).answer;
    expect(called.continued).toMatch(/<tool_call>$/);
    expect(called.text).toMatch(/^\n\{ ?"name":/);
    if (called.reason === 'stop') expect(called.text).toMatch(/\}\n<\/tool_call>$/);
  });
});
