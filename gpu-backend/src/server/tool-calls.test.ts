import { describe, expect, it } from 'vitest';
import { ToolCalls, type ToolDelta } from './tool-calls.ts';

/** Deltas put together as a client does. */
function together(deltas: readonly ToolDelta[]) {
  let content = '';
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const delta of deltas) {
    content += delta.content ?? '';
    for (const { index, id, function: part } of delta.tool_calls ?? []) {
      if (id) calls[index] = { id, name: part.name ?? '', arguments: '' };
      expect(calls[index], 'a call begins with its id').toBeDefined();
      calls[index]!.arguments += part.arguments;
    }
  }
  return { content, calls };
}

function parse(text: string, sizes: (i: number) => number) {
  const parser = new ToolCalls('chatcmpl-1');
  const deltas: ToolDelta[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const size = sizes(i);
    deltas.push(parser.push(text.slice(at, at + size)) ?? {});
    at += size;
  }
  deltas.push(parser.flush());
  return { ...together(deltas), deltas, count: parser.count };
}

const one = '<tool_call>\n{"name": "f", "arguments": {"a": "}\\"{", "b": {"c": [1, "\\\\"]}}}\n</tool_call>';
const two = '<tool_call>\n{"name":"g","arguments":{}}\n</tool_call>';
const table: [text: string, content: string, calls: [name: string, args: string][]][] = [
  ['你好', '你好', []],
  ['', '', []],
  [one, '', [['f', '{"a": "}\\"{", "b": {"c": [1, "\\\\"]}}']]],
  [`好的。\n\n${two}`, '好的。', [['g', '{}']]],
  [
    `${one}\n${two}`,
    '',
    [
      ['f', '{"a": "}\\"{", "b": {"c": [1, "\\\\"]}}'],
      ['g', '{}'],
    ],
  ],
  [
    `${two}${two}\n`,
    '',
    [
      ['g', '{}'],
      ['g', '{}'],
    ],
  ],
  ['a < b <tool', 'a < b <tool', []],
  ['a \n <tool_cal>', 'a \n <tool_cal>', []],
  [one.slice(0, 50), '', [['f', '{"a": "}\\"{']]],
  ['x <tool_call>\n{"na', 'x', []],
];

describe('tool calls', () => {
  it.each(table)('%j', (text, content, calls) => {
    for (const sizes of [() => 1000, () => 1, () => 2, (i: number) => 1 + ((i * 7) % 5)]) {
      const parsed = parse(text, sizes);
      expect(parsed.content).toBe(content);
      expect(parsed.calls.map(({ name, arguments: args }) => [name, args])).toEqual(calls);
      expect(parsed.count).toBe(calls.length);
    }
  });

  it('come with ids that are told once, and are the same each time', () => {
    const first = parse(`${one}${two}`, () => 3);
    const [a, b] = first.calls;
    expect(a?.id).toMatch(/^call_[0-9a-f]{24}$/);
    expect(b?.id).not.toBe(a?.id);
    expect(parse(`${one}${two}`, () => 11).calls).toEqual(first.calls);
    expect(first.deltas.flatMap((delta) => delta.tool_calls ?? []).filter(({ id }) => id)).toHaveLength(2);
  });

  it('go on after any part of the text as if it had come in one', () => {
    const text = `嗯\n${one}\n${two}`;
    for (let cut = 1; cut < text.length; cut++) {
      const before = new ToolCalls('x');
      const told = before.push(text.slice(0, cut)) ?? {};
      // Another parser sees the same text, its deltas are not told again.
      const after = new ToolCalls('x');
      after.push(text.slice(0, cut));
      const rest = [after.push(text.slice(cut)) ?? {}, after.flush()];
      expect(together([told, ...rest])).toEqual(together([new ToolCalls('x').push(text) ?? {}]));
    }
  });
});
