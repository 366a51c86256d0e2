import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Chat,
  chatFrom,
  newChat,
  pathOf,
  pathTo,
  siblingsOf,
  speedOf,
  type Turn,
  titleOf,
  withChange,
  withChoice,
  without,
  withTurn,
} from './tree.ts';

const turn = (id: string, parent: string | null, role: Turn['role'] = 'user'): Turn => ({
  id,
  parent,
  role,
  text: id,
});
const grown = (...turns: Turn[]) =>
  turns.reduce((chat, next, at) => withTurn(chat, next, at), newChat('c', 0));
const ids = (turns: Turn[]) => turns.map(({ id }) => id).join(' ');

// q1 → a1, a2 (regenerated) → q2; q1' is an edit of q1 with an answer of its own.
const branched = grown(
  turn('q1', null),
  turn('a1', 'q1', 'assistant'),
  turn('a2', 'q1', 'assistant'),
  turn('q2', 'a2'),
  turn("q1'", null),
  turn('b1', "q1'", 'assistant'),
);
const byId = (chat: Chat, id: string) => chat.turns.find((candidate) => candidate.id === id)!;

describe('a conversation', () => {
  it('shows what was said last', () => expect(ids(pathOf(branched))).toBe("q1' b1"));

  it('shows another branch where it was left', () => {
    const back = withChoice(branched, byId(branched, 'q1'));
    expect(ids(pathOf(back))).toBe('q1 a2 q2');
    const other = withChoice(back, byId(back, 'a1'));
    expect(ids(pathOf(other))).toBe('q1 a1');
    expect(ids(pathOf(withChoice(other, byId(other, 'a2'))))).toBe('q1 a2 q2');
  });

  it('knows the turns in one place', () => {
    expect(ids(siblingsOf(branched, byId(branched, 'a1')))).toBe('a1 a2');
    expect(ids(siblingsOf(branched, byId(branched, 'q1')))).toBe("q1 q1'");
  });

  it('asks with its own branch alone', () => expect(ids(pathTo(branched, 'q2'))).toBe('q1 a2 q2'));

  it('loses with a turn what came after it, and no more', () => {
    expect(ids([...without(branched, 'a2').turns])).toBe("q1 a1 q1' b1");
    expect(ids(pathOf(without(branched, "q1'")))).toBe('q1 a2 q2');
  });

  it('changes no object that somebody may be showing', () => {
    const before = structuredClone(branched);
    withChange(branched, 'a1', (old) => ({ ...old, text: 'x' }));
    without(branched, 'q1');
    expect(branched).toEqual(before);
  });

  it('is called by its first question, shortened by characters and not halves of them', () => {
    expect(titleOf(grown(turn('  你好\n再见', null)))).toBe('你好');
    expect(titleOf(grown(turn('𠮷'.repeat(50), null)))).toBe(`${'𠮷'.repeat(40)}…`);
    expect(titleOf({ ...branched, title: '诗' })).toBe('诗');
    expect(titleOf(newChat('c', 0))).toBe('');
  });
});

describe('what was stored', () => {
  it('comes back as it was', () => expect(chatFrom(JSON.parse(JSON.stringify(branched)))).toEqual(branched));

  it.each([null, [], 'x', {}, { id: 'c' }, { id: 'c', turns: {} }, { id: 'c', turns: [{ id: 'q' }] }])(
    'and is none is left alone: %j',
    (value) => expect(chatFrom(value)).toBeUndefined(),
  );

  it('never makes the page fail, whatever it is', () => {
    const any = fc.jsonValue();
    const turns = fc.array(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c'),
        parent: fc.constantFrom(null, 'a', 'b'),
        role: fc.constantFrom('user', 'assistant', 'x'),
        text: fc.string(),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.oneof(any, fc.record({ id: fc.string(), turns, chosen: any })), (value) => {
        const chat = chatFrom(structuredClone(value));
        if (chat) for (const { id } of chat.turns) void [titleOf(chat), ids(pathTo(chat, id)), pathOf(chat)];
      }),
    );
  });
});

it('the first token is no part of the speed', () => {
  const answer = { state: 'done', model: 'm', askedAt: 0 } as const;
  expect(speedOf({ ...answer, usage: { prompt: 9, completion: 101, cached: 0 }, duration: 2_000 })).toBe(50);
  expect(speedOf({ ...answer, usage: { prompt: 9, completion: 1, cached: 0 }, duration: 0 })).toBeUndefined();
  expect(speedOf({ ...answer, duration: 5 })).toBeUndefined();
});
