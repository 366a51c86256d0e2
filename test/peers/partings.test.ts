import { expect, test } from 'vitest';
import { parting, type ToldToken } from './partings.ts';

const end = '<end>';
const told = (token: string, ...others: [string, number][]): ToldToken => ({
  token,
  logprob: -0.7,
  top_logprobs: [
    { token, logprob: -0.7 },
    ...others.map(([name, behind]) => ({ token: name, logprob: -0.7 - behind })),
  ],
});

test('equal answers part nowhere', () => {
  expect(parting([told('a'), told('b')], [told('a'), told('b')], end)).toBeUndefined();
});

test('a near-tie has to be one to both', () => {
  const one = [told('a'), told('b', ['c', 0.01])];
  const near = parting(one, [told('a'), told('c', ['b', 0.02])], end);
  expect(near).toMatchObject({ at: 1, tokens: ['b', 'c'], near: true });
  expect(near!.margins[1]).toBeCloseTo(0.02);
  expect(parting(one, [told('a'), told('c', ['b', 0.5])], end)).toMatchObject({ near: false });
});

test('a token that is among nobody’s alternatives is no near-tie', () => {
  expect(parting([told('a', ['b', 0.01])], [told('b', ['c', 0.01])], end)).toMatchObject({ near: false });
});

test('an answer that ends where the other goes on is judged by the one that goes on', () => {
  const long = (behind: number) => [told('a'), told('b', [end, behind])];
  expect(parting([told('a')], long(0.01), end)).toMatchObject({ at: 1, tokens: [end, 'b'], near: true });
  expect(parting(long(1), [told('a')], end)).toMatchObject({ near: false });
});
