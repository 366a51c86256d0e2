/** Settings in any combination, against the real edge, node and model: an answer that ends, or a 400 that names one. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Stack, startStack } from '../stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

const tool = (name: string) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: { a: { type: 'string' } } } },
});
const user = { role: 'user', content: '好' };

const shared = {
  n: [1, 2, 8],
  max_tokens: [1, 3],
  stream: [true, false],
  stream_options: [{ include_usage: true }],
  temperature: [0, 2],
  top_p: [0, 1],
  top_k: [-1, 1, 1e9],
  min_p: [0, 1],
  typical_p: [0.1],
  seed: [-1, 2 ** 53 - 1],
  stop: ['好', ['<|endofutterance|>', 'a']],
  stop_token_ids: [[1], [9_999_999]],
  ignore_eos: [true],
  min_tokens: [1],
  logit_bias: [{}, { 5: 100 }, { 9999999: 1 }],
  dry_multiplier: [1],
  dry_base: [1, 10],
  dry_sequence_breakers: [[], ['\n']],
  presence_penalty: [-2, 2],
  repetition_penalty: [0.01, 2],
  return_routed_experts: [true],
  guided_json: [{ type: 'object' }, { $ref: '#' }, { type: 'nothing' }],
  guided_grammar: ['root ::= "a"', 'root ::= root', 'x'],
  guided_choice: [['a', '\0', '"']],
};
const ofChat = {
  ...shared,
  logprobs: [true],
  top_logprobs: [20],
  tools: [[tool('f')], [tool('f'), tool('g')]],
  tool_choice: ['none', 'required', tool('f')],
  parallel_tool_calls: [false],
  response_format: [{ type: 'json_object' }, { type: 'text' }],
  add_generation_prompt: [false],
  continue_final_message: [true],
  truncation: ['auto'],
  messages: [[{ role: 'assistant', content: '好' }], [{ role: 'system', content: '' }]],
};
const ofText = { ...shared, echo: [true], logprobs: [0, 5], prompt: ['', ' '] };

/** Up to five of the settings, each with one of its values. */
function some(settings: Record<string, unknown[]>) {
  const names = fc.uniqueArray(fc.constantFrom(...Object.keys(settings)), { maxLength: 5 });
  return names.chain((names) =>
    fc.record(Object.fromEntries(names.map((name) => [name, fc.constantFrom(...settings[name]!)]))),
  );
}

it('settings in any combination', async () => {
  const request = fc.oneof(
    some(ofChat).map((fields) => ['/chat/completions', { messages: [user], ...fields }] as const),
    some(ofText).map((fields) => ['/completions', { prompt: '好', ...fields }] as const),
  );
  const seen = { answered: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(request, async ([path, fields]) => {
      const body: Record<string, unknown> = { model: 'huozi', max_tokens: 6, ...fields };
      const response = await fetch(stack.baseURL + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${stack.apiKey}` },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      if (response.status === 200) {
        seen.answered++;
        expect(text).not.toContain('"error":{');
        if (body.stream) expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
        else expect(JSON.parse(text).choices.length).toBeGreaterThan(0);
      } else {
        seen.refused++;
        expect(response.status).toBe(400);
        const { param } = JSON.parse(text).error;
        expect(Object.keys(body)).toContain(String(param).split('.')[0]);
      }
    }),
    { numRuns: 200 },
  );
  expect(Math.min(seen.answered, seen.refused)).toBeGreaterThan(5);
});
