import { describe, expect, it } from 'vitest';
import { Logprobs } from './logprobs.ts';
import { TokenPieces } from './token-pieces.ts';

const texts = ['<s>', '▁a', '好', '<0xE4>', 'd', 'e'];
const pieces = new TokenPieces(
  { texts, attributes: Int32Array.of(8, 4, 4, 32, 4, 4), scores: new Float32Array(6), bos: 0, eos: 0 },
  [0],
);

describe('logprobs', () => {
  it('are those of a softmax over the raw row, whatever becomes of the row', () => {
    const row = Float32Array.of(0.5, 3, -2, 3, 1, -40);
    const logprobs = new Logprobs(3, pieces);
    logprobs.keep(row);
    const kept = [...row];
    row.fill(0);
    logprobs.add(2);
    const total = Math.log(kept.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const of = (id: number) => expect.closeTo((kept[id] as number) - total, 8);
    expect(logprobs.take()).toEqual([
      {
        token: '好',
        logprob: of(2),
        bytes: [0xe5, 0xa5, 0xbd],
        top_logprobs: [
          { token: ' a', logprob: of(1), bytes: [0x20, 0x61] },
          { token: 'bytes:\\xe4', logprob: of(3), bytes: [0xe4] },
          { token: 'd', logprob: of(4), bytes: [0x64] },
        ],
      },
    ]);
    expect(logprobs.take()).toEqual([]);
  });

  it('of a token that is no text, and of one that cannot come', () => {
    const logprobs = new Logprobs(0, pieces);
    logprobs.keep(Float32Array.of(0, 0, 0, 0, 0, Number.NEGATIVE_INFINITY));
    logprobs.add(0);
    logprobs.add(5);
    expect(logprobs.take()).toEqual([
      { token: '<s>', logprob: expect.closeTo(-Math.log(5), 8), bytes: null, top_logprobs: [] },
      { token: 'e', logprob: -9999, bytes: [0x65], top_logprobs: [] },
    ]);
  });

  it('the best of many, against a sort', () => {
    let seed = 7;
    const row = Float32Array.from({ length: 6 }, () => (seed = (seed * 31) % 11));
    const logprobs = new Logprobs(6, pieces);
    logprobs.keep(row);
    logprobs.add(0);
    const order = [...row.keys()].sort((a, b) => (row[b] as number) - (row[a] as number) || a - b);
    expect(logprobs.take()[0]?.top_logprobs.map(({ token }) => token)).toEqual(
      order.map((id) => pieces.label(id)),
    );
  });
});
