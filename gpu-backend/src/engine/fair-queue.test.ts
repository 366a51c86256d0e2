import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairQueue, type Queued } from './fair-queue.ts';

interface Item extends Queued {
  name: string;
}

const item = (name: string, tenant = 'a', promptTokens = 10, priority = 0): Item => ({
  name,
  tenant,
  priority,
  promptTokens,
});
const names = (queue: FairQueue<Item>) => [...queue.order()].map(({ name }) => name).join(' ');

function queueOf(...items: Item[]): FairQueue<Item> {
  const queue = new FairQueue<Item>();
  for (const each of items) queue.push(each);
  return queue;
}

describe('order of service', () => {
  it.each([
    ['arrival within a tenant', [item('1'), item('2'), item('3')], '1 2 3'],
    [
      'priority before arrival',
      [item('1'), item('2', 'a', 10, 5), item('3', 'a', 10, -1), item('4', 'a', 10, 5)],
      '2 4 1 3',
    ],
    [
      'tenants in turn, whoever came with how many',
      [item('a1'), item('a2'), item('a3'), item('b1', 'b'), item('b2', 'b')],
      'a1 b1 a2 b2 a3',
    ],
    [
      'by tokens, not by requests',
      [item('a1', 'a', 100), item('a2', 'a', 100), item('b1', 'b'), item('b2', 'b'), item('b3', 'b')],
      'a1 b1 b2 b3 a2',
    ],
    [
      'priority before fairness',
      [item('a1', 'a', 10, 1), item('a2', 'a', 10, 1), item('b1', 'b')],
      'a1 a2 b1',
    ],
    ['nobody', [], ''],
  ])('%s', (_, items, expected) => {
    const queue = queueOf(...items);
    expect(names(queue)).toBe(expected);
    // Looking changes nothing.
    expect(names(queue)).toBe(expected);
    expect([queue.size, queue.tokens]).toEqual([
      items.length,
      items.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
    ]);
  });

  it('counts what was served, an answer token as two', () => {
    const [a1, a2, b1] = [item('a1'), item('a2'), item('b1', 'b')];
    const queue = queueOf(a1, a2, b1);
    expect(queue.compare(a1, b1)).toBe(0);
    queue.take(a1);
    queue.chargePrompt(a1, 10);
    expect(names(queue)).toBe('b1 a2');
    queue.take(b1);
    queue.chargePrompt(b1, 9);
    expect(queue.compare(a1, b1)).toBeGreaterThan(0);
    queue.chargeAnswer(b1);
    expect(queue.compare(a1, b1)).toBeLessThan(0);
    expect(queue.compare({ ...b1, priority: 1 }, a1)).toBeLessThan(0);
  });

  it('lets nobody save up service by staying away', () => {
    const early = item('b0', 'b');
    const queue = queueOf(early);
    queue.take(early);
    queue.leave(early);
    const busy = item('a0');
    queue.push(busy);
    queue.take(busy);
    queue.chargePrompt(busy, 1000);
    for (const each of [item('b1', 'b'), item('b2', 'b'), item('b3', 'b')]) queue.push(each);
    queue.push(item('a1'));
    // b is level with a when it comes back, not 1,000 tokens ahead.
    expect(names(queue)).toBe('b1 a1 b2 b3');
  });

  it('serves tenants that always have work within one request of each other', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 40, maxLength: 40 }), (sizes) => {
        const queue = new FairQueue<Item>();
        const served = { a: 0, b: 0 } as Record<string, number>;
        for (const [i, size] of sizes.entries()) queue.push(item(`${i}`, i % 4 === 0 ? 'b' : 'a', size));
        for (;;) {
          const waiting = [...queue];
          if (!['a', 'b'].every((tenant) => waiting.some((each) => each.tenant === tenant))) break;
          const [next] = queue.order();
          queue.take(next!);
          queue.chargePrompt(next!, next!.promptTokens);
          served[next!.tenant]! += next!.promptTokens;
          expect(Math.abs(served.a! - served.b!)).toBeLessThanOrEqual(50);
        }
      }),
    );
  });
});
