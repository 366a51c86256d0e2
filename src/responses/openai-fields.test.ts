/** Every field of the Responses API that OpenAI's own client documents is decided about, as in ../openai-fields.test.ts. */
import { describe, expect, it } from 'vitest';
import { documentedFields } from '../../test/documented-fields.ts';
import { parseChatRequest } from '../chat-request.ts';
import { refusal } from '../testing/refusal.ts';
import { parseItemsQuery, parseRetrieval } from './item-query.ts';
import { itemsOf } from './items.ts';
import { settingsOf } from './response-object.ts';
import { parseInputTokensFields, parseResponseFields } from './response-request.ts';
import { toChat } from './to-chat.ts';

/** A value that is taken, and one that is refused by the field's name. Honoured ones change what is done. */
type Fate = ['honoured' | 'harmless', taken: unknown, refused?: unknown] | ['refused', unknown];

const file = 'responses/responses';
const tool = { type: 'function', name: 'f' };
const reasoning = { effort: 'high' };
const id = `resp_${'0'.repeat(48)}`;

/** All that comes of a request: what the node is asked, what the client reads, what is kept. */
function parse(body: unknown) {
  const fields = parseResponseFields(body);
  const { sampling, ...generation } = parseChatRequest(toChat(fields, [], itemsOf(fields.input)).body);
  const { seed: _another, ...same } = sampling;
  return { ...generation, sampling: same, shown: settingsOf('', 0, fields) };
}

const places: {
  file: string;
  name: string;
  parse: (fields: object) => unknown;
  required: object;
  fates: Record<string, Fate>;
}[] = [
  {
    file,
    name: 'ResponseCreateParamsBase',
    parse,
    required: { model: 'huozi', input: '你好' },
    fates: {
      background: ['honoured', true, 'x'],
      context_management: ['harmless', [], [{ type: 'compaction' }]],
      conversation: ['refused', 'conv_1'],
      include: ['honoured', ['message.output_text.logprobs'], ['x']],
      input: ['honoured', [{ role: 'user', content: '别的' }], [{ type: 'reasoning' }]],
      instructions: ['honoured', '你是诗人', 5],
      max_output_tokens: ['honoured', 5, 0],
      metadata: ['honoured', { a: 'b' }, { a: 1 }],
      model: ['honoured', 'other', ''],
      moderation: ['refused', { model: 'm' }],
      parallel_tool_calls: ['honoured', false, 'x'],
      previous_response_id: ['honoured', id, 'resp_1'],
      prompt: ['refused', { id: 'pmpt_1' }],
      prompt_cache_key: ['honoured', 'k', 5],
      prompt_cache_options: ['refused', { mode: 'explicit' }],
      prompt_cache_retention: ['harmless', 'in_memory', '24h'],
      reasoning: ['harmless', { effort: 'none', summary: null }, reasoning],
      safety_identifier: ['honoured', 's', 5],
      service_tier: ['harmless', 'auto', 'flex'],
      store: ['honoured', false, 'x'],
      stream: ['honoured', true, 'x'],
      stream_options: ['harmless', { include_obfuscation: false }, { include_obfuscation: true }],
      temperature: ['honoured', 0, 3],
      text: ['honoured', { format: { type: 'json_object' } }, { verbosity: 'high' }],
      tool_choice: ['honoured', 'none', { type: 'mcp' }],
      tools: ['honoured', [tool], [{ type: 'web_search' }]],
      top_logprobs: ['harmless', 0, 21],
      top_p: ['honoured', 0.5, 2],
      truncation: ['honoured', 'auto', 'middle'],
      user: ['honoured', 'u', 5],
    },
  },
  {
    file,
    name: 'ResponseRetrieveParamsBase',
    parse: (fields) => parseRetrieval(fields as Record<string, string[]>),
    required: { stream: ['true'] },
    fates: {
      include: ['harmless', ['reasoning.encrypted_content'], ['message.output_text.logprobs']],
      include_obfuscation: ['harmless', ['false'], ['true']],
      starting_after: ['honoured', ['5'], ['x']],
      stream: ['honoured', ['false'], ['x']],
    },
  },
  {
    file: 'responses/input-items',
    name: 'InputItemListParams',
    parse: (fields) => {
      const { page } = parseItemsQuery(fields as Record<string, string[]>);
      return page(itemsOf(parseResponseFields({ model: 'huozi', input: twoItems }).input));
    },
    required: {},
    fates: {
      include: ['harmless', ['reasoning.encrypted_content'], ['message.output_text.logprobs']],
      order: ['honoured', ['asc'], ['up']],
    },
  },
  {
    file: 'responses/input-tokens',
    name: 'InputTokenCountParams',
    parse: (fields) => {
      const { model, fields: counted } = parseInputTokensFields(fields);
      return {
        model,
        ...toChat(counted, [], itemsOf(counted.input)),
        previous: counted.previous_response_id,
      };
    },
    required: { input: '你好' },
    fates: {
      conversation: ['refused', 'conv_1'],
      input: ['honoured', '别的', 5],
      instructions: ['honoured', '你是诗人', 5],
      model: ['honoured', 'other', ''],
      parallel_tool_calls: ['harmless', false, 'x'],
      personality: ['refused', 'friendly'],
      previous_response_id: ['honoured', id, 'resp_1'],
      reasoning: ['harmless', { effort: 'none' }, reasoning],
      text: ['honoured', { format: { type: 'json_object' } }, { format: { type: 'xml' } }],
      tool_choice: ['honoured', 'none', 'x'],
      tools: ['honoured', [tool], [{ type: 'mcp' }]],
      truncation: ['honoured', 'auto', 'x'],
    },
  },
];

const twoItems = ['a', 'b'].map((content, at) => ({ role: 'user', content, id: `msg_${at}` }));
/** Ids are made up anew each time. */
const told = (value: unknown) => JSON.stringify(value)?.replace(/(msg|fc|fco)_[0-9a-f]{48}/g, '');

describe.each(places)('$name', ({ file, name, parse, required, fates }) => {
  it('has no field that is not decided about', () => {
    expect(documentedFields(file, name).toSorted()).toEqual(Object.keys(fates).toSorted());
  });

  it.each(Object.entries(fates))(
    '%s: %j',
    (field, [fate, value, refused = fate === 'refused' ? value : undefined]) => {
      if (fate !== 'refused') {
        const changed = told(parse({ ...required, [field]: value })) !== told(parse(required));
        expect(changed).toBe(fate === 'honoured');
      }
      if (refused !== undefined) {
        expect(refusal((body) => parse(body as object), { ...required, [field]: refused })?.param).toMatch(
          new RegExp(`^${field}`),
        );
      }
    },
  );
});
