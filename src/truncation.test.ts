import fc from 'fast-check';
import { expect, it } from 'vitest';
import { renderChat, type Turn } from './chatml.ts';
import { shortening } from './truncation.ts';

/** One token a character, as lengths that can be read off. */
function tokensOf(turns: readonly Turn[]): number[] {
  return renderChat(turns).flatMap((segment) =>
    'text' in segment ? Array.from(segment.text, () => 9) : [{ bos: 1, begin: 7, end: 8 }[segment.control]],
  );
}
const turn = (speaker: Turn['speaker'], text: string, results?: true): Turn => ({
  speaker,
  text,
  ...(results && { results }),
});
const system = turn('系统', 'S');
const q = (n: number) => turn('用户', `q${n}`);
const a = (n: number) => turn('助手', `a${n}`);
const call = turn('助手', 'call');
const results = turn('用户', 'results', true);
const kept = (turns: Turn[], excess: number) => {
  const tokens = tokensOf(turns);
  return shortening({ turns, ending: 'new_turn' })(tokens, tokens.length - excess);
};

it.each([
  ['nothing that need not', [system, q(1), a(1), q(2)], 0, [system, q(1), a(1), q(2)]],
  [
    'the oldest round, with its answer',
    [system, q(1), a(1), q(2), a(2), q(3)],
    1,
    [system, q(2), a(2), q(3)],
  ],
  ['as many as it takes', [q(1), a(1), q(2), a(2), q(3)], 17, [q(3)]],
  ['no system turn, wherever it stands', [q(1), system, a(1), q(2)], 1, [system, q(2)]],
  ['a call together with its results', [q(1), call, results, a(1), q(2)], 1, [q(2)]],
  ['an answer that begins the conversation', [a(0), q(1), a(1), q(2)], 1, [q(1), a(1), q(2)]],
  ['older calls of the last question', [q(1), call, results, call, results], 1, [q(1), call, results]],
  [
    'earlier rounds before those',
    [q(0), a(0), q(1), call, results, call, results],
    1,
    [q(1), call, results, call, results],
  ],
])('lets go of %s', (_name, turns, excess, expected) => {
  expect(kept(turns, excess)).toEqual(renderChat(expected));
});

it.each([
  ['the last question', [system, q(1)], 1],
  ['what was answered last to it', [q(1), call, results], 1],
  ['enough', [system, q(1), a(1), q(2)], 100],
])('cannot let go of %s', (_name, turns, excess) => {
  expect(kept(turns, excess)).toBeUndefined();
});

it('whatever the conversation: what is left fits, and holds the system turns and the last question', () => {
  const one = fc.oneof(
    fc.string({ maxLength: 20 }).map((text) => turn('系统', text)),
    fc.string({ maxLength: 20 }).map((text) => turn('用户', text)),
    fc.string({ maxLength: 20 }).map((text) => turn('助手', text)),
    fc.string({ maxLength: 20 }).map((text) => turn('用户', text, true)),
  );
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 12 }), fc.nat(80), (turns, excess) => {
      const tokens = tokensOf(turns);
      const room = tokens.length - excess;
      const short = shortening({ turns, ending: 'new_turn' })(tokens, room);
      if (!short) return;
      const text = JSON.stringify(short);
      const length = short.reduce((sum, s) => sum + ('text' in s ? [...s.text].length : 1), 0);
      expect(length).toBeLessThanOrEqual(room);
      const question = turns.findLast((one) => one.speaker === '用户' && !one.results);
      for (const one of [...turns.filter((turn) => turn.speaker === '系统'), question]) {
        if (one) expect(text).toContain(JSON.stringify(`${one.speaker}\n${one.text}`));
      }
    }),
    { numRuns: 2_000 },
  );
});
