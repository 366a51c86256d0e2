/** huozi-tiny answers what it was trained for, through the whole stack, and only in Huozi's own template. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { heldOutItems, score, share, throughTheEdge, total, withEnglishRoleNames } from '../eval/heldout.ts';
import { type Stack, startStack } from '../stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

// Other people's engines have taken 130 s on a machine that did other things, and once more than 240.
const limitMs = process.env.HUOZI_ENGINE ? 900_000 : 240_000;

it(
  'answers at least 90 % of each held-out task, and clearly fewer under English role names',
  async () => {
    const items = heldOutItems();
    expect(items.length).toBeGreaterThan(300);
    const asIs = await score(items, throughTheEdge(stack));
    for (const [task, result] of asIs) expect(share(result), task).toBeGreaterThanOrEqual(0.9);
    const broken = await score(items, withEnglishRoleNames(stack));
    expect(total(broken)).toBeLessThan(total(asIs) - 0.2);
  },
  limitMs,
);
