/** The scheduler against a scripted context: what goes into each step, and what comes out when steps fail. */
import { describe, expect, it } from 'vitest';
import type { QueueFullError } from './errors.ts';
import { setUp, turn } from './testing/scripted-context.ts';

describe('scheduler', () => {
  it('decodes running sequences first and prefills joining ones in chunks with the rest, in order of arrival', async () => {
    const { context, submit } = setUp({ slots: 3 });
    const first = submit([1, 2]);
    (await context.next()).finish();
    // 'd' is decoded beside chunks of two prompts that arrived meanwhile: 10 and 3 tokens into 8 − 1 places.
    const long = submit(Array.from({ length: 10 }, () => 5));
    const short = submit([6, 7, 8], { maxTokens: 1 });
    const second = await context.next();
    expect(second.tokens.map(([sequence, , token]) => [sequence, token])).toEqual([
      [0, 3],
      ...Array.from({ length: 7 }, () => [1, 5]),
    ]);
    expect(second.tokens.map(([, , , output]) => output)).toEqual([true, ...Array(7).fill(false)]);
    second.finish();
    const third = await context.next();
    expect(third.tokens).toEqual([
      [0, 3, 4, true],
      [1, 7, 5, false],
      [1, 8, 5, false],
      [1, 9, 5, true],
      [2, 0, 6, false],
      [2, 1, 7, false],
      [2, 2, 8, true],
    ]);
    third.finish();
    const fourth = await context.next();
    expect(first).toMatchObject({ text: 'def', end: { reason: 'length', completionTokens: 3 } });
    expect(short).toMatchObject({
      text: 'j',
      end: { reason: 'length', promptTokens: 3, completionTokens: 1 },
    });
    expect(fourth.tokens).toEqual([[1, 10, 6, true]]);
    expect([...context.cells.keys()]).toEqual([1]);
    fourth.finish();
    (await context.next()).finish();
    await turn();
    expect(long).toMatchObject({ text: 'ghi', end: { reason: 'length' } });
  });

  it('admits only what its KV cells hold, first come first served, and counts', async () => {
    const { context, scheduler, submit } = setUp({ slots: 3, contextTokens: 10 });
    submit([1, 1], { maxTokens: 3 });
    const large = submit([2, 2], { maxTokens: 4 });
    const small = submit([3], { maxTokens: 1 });
    const step = await context.next();
    expect(scheduler.stats).toMatchObject({
      active: 1,
      queued: 2,
      queuedTokens: 3,
      kvUsed: 5,
      kvCached: 0,
      kvTotal: 10,
      steps: 0,
    });
    step.finish();
    (await context.next()).finish();
    (await context.next()).finish();
    // The small one would have fitted beside the first, but it came after the large one.
    const after = await context.next();
    expect(after.tokens.map(([, , token]) => token)).toEqual([2, 2, 3]);
    expect(scheduler.stats).toMatchObject({ active: 2, queued: 0, kvUsed: 8, steps: 3 });
    after.finish();
    for (let i = 0; i < 3; i++) (await context.next()).finish();
    await turn();
    expect([large.end?.reason, small.end?.reason]).toEqual(['length', 'length']);
    expect(scheduler.stats).toMatchObject({ active: 0, queued: 0, kvUsed: 0, steps: 7 });
    expect(context.cells.size).toBe(0);
  });

  it('frees a cancelled sequence before the next step, queued, in prefill or decoding', async () => {
    const { context, scheduler, submit } = setUp({ slots: 2 });
    const decoding = submit([1], { maxTokens: 50 });
    const prefilling = submit(
      Array.from({ length: 20 }, () => 4),
      { maxTokens: 5 },
    );
    const queued = submit([9]);
    const other = submit([3]);
    (await context.next()).finish();
    const running = await context.next();
    for (const generation of [decoding, prefilling, queued]) generation.cancel();
    expect([decoding.end, prefilling.end, queued.end]).toEqual([undefined, undefined, undefined]);
    running.finish();
    const next = await context.next();
    expect(next.tokens.map(([, , token]) => token)).toEqual([3]);
    // The token that the step had drawn already counts as never generated.
    expect(decoding.end).toMatchObject({ reason: 'cancelled', promptTokens: 1, completionTokens: 1 });
    expect(prefilling.end).toMatchObject({ reason: 'cancelled', completionTokens: 0 });
    expect(queued.end).toMatchObject({ reason: 'cancelled', completionTokens: 0 });
    expect(scheduler.stats).toMatchObject({ active: 1, queued: 0, kvUsed: 4 });
    expect(context.cells.size).toBe(1);
    next.finish();
    (await context.next()).finish();
    (await context.next()).finish();
    await turn();
    expect(other.text).toBe('efg');
  });

  it('tells a cancel of what waits while nothing runs', async () => {
    const { submit, context } = setUp();
    const generation = submit([1]);
    generation.cancel();
    generation.cancel();
    await turn();
    expect(generation.end).toMatchObject({ reason: 'cancelled' });
    expect(context.steps).toEqual([]);
  });

  it('ends what was in a failed step with a typed error, and goes on with the rest', async () => {
    const { context, scheduler, submit } = setUp({ slots: 3, batchTokens: 4 });
    const failing = submit([1, 2, 3, 4]);
    const waiting = submit([5], { maxTokens: 1 });
    (await context.next()).finish(-3);
    const next = await context.next();
    expect(failing.end).toMatchObject({ reason: 'error', completionTokens: 0 });
    expect(failing.end?.error).toMatchObject({ name: 'DecodeError', code: -3 });
    expect(failing.end?.error?.message).toBe('llama_decode failed with -3: out of luck');
    expect(next.tokens).toEqual([[1, 0, 5, true]]);
    next.finish();
    await turn();
    expect(waiting).toMatchObject({ text: 'g', end: { reason: 'length' } });
    expect(scheduler.stats).toMatchObject({ active: 0, kvUsed: 0 });
    expect(context.cells.size).toBe(0);
  });

  it('closes after the running step, and takes nothing any more', async () => {
    const { context, scheduler, submit } = setUp({ slots: 1 });
    const running = submit([1]);
    const queued = submit([2]);
    const step = await context.next();
    const closing = scheduler.close();
    let closed = false;
    void closing.then(() => {
      closed = true;
    });
    await turn();
    expect(closed).toBe(false);
    step.finish();
    await closing;
    expect([running.end?.reason, queued.end?.reason]).toEqual(['cancelled', 'cancelled']);
    expect(() => submit([3])).toThrow(expect.objectContaining({ name: 'EngineClosedError' }));
    await scheduler.close();
  });

  it('lets a long prompt take no more of a step than its share while others decode', async () => {
    const { context, submit } = setUp({ batchTokens: 64, besideTokens: 5 });
    submit([1], { maxTokens: 50 });
    (await context.next()).finish();
    submit(Array.from({ length: 12 }, () => 4));
    for (const prompt of [5, 5, 2]) {
      const step = await context.next();
      expect(step.tokens.map(([sequence]) => sequence)).toEqual([0, ...Array(prompt).fill(1)]);
      step.finish();
    }
  });

  it('shares the prefill of tenants that are level, and lets the urgent one go first', async () => {
    const { context, submit } = setUp({ slots: 4, batchTokens: 4 });
    const [a, b, urgent] = [3, 5, 7];
    submit(Array(8).fill(a), { tenant: 'a' });
    submit(Array(8).fill(b), { tenant: 'b' });
    const order = [];
    for (let i = 0; i < 6; i++) {
      const step = await context.next();
      order.push(...step.tokens.filter(([, position]) => position < 8).map(([, , token]) => token));
      if (i === 1) submit(Array(4).fill(urgent), { tenant: 'a', priority: 1, maxTokens: 1 });
      step.finish();
    }
    // By fours: a, b, then the urgent one; a has been served more by then.
    expect(order.slice(0, 16)).toEqual([a, b, urgent, b].flatMap((token) => Array(4).fill(token)));
  });

  it('begins like a prompt that is under way: waits for it and shares, also when the first one leaves', async () => {
    const { context, scheduler, submit } = setUp({
      slots: 3,
      contextTokens: 400,
      batchTokens: 20,
      prefixCache: true,
    });
    const beginning = Array.from({ length: 60 }, (_, i) => i % 13);
    const first = submit([...beginning, 1]);
    const second = submit([...beginning, 2], { maxTokens: 1 });
    const stranger = submit([...beginning, 3], { maxTokens: 1, tenant: 'other' });
    let step = await context.next();
    expect(step.tokens.map(([sequence]) => sequence)).toEqual(Array(20).fill(0));
    expect(scheduler.stats).toMatchObject({ active: 2, queued: 1 });
    step.finish();
    step = await context.next();
    first.cancel();
    step.finish();
    step = await context.next();
    // What the first one evaluated is there, and the second one takes over.
    expect(first.end?.reason).toBe('cancelled');
    step.finish();
    for (let i = 0; i < 8; i++) {
      await turn();
      context.steps.shift()?.finish();
    }
    await turn();
    const evaluated = first.end!.cachedTokens! + second.end!.cachedTokens!;
    expect(evaluated).toBeGreaterThanOrEqual(20);
    expect(second).toMatchObject({ text: 'd', end: { reason: 'length', promptTokens: 61 } });
    // Nobody sees that another tenant has sent the same.
    expect(stranger).toMatchObject({ text: 'e', end: { reason: 'length', cachedTokens: 0 } });
  });

  it('evaluates only what is new of a prompt that goes on from an answer', async () => {
    const { context, scheduler, submit } = setUp({ prefixCache: true });
    const first = submit([1, 2, 3], { maxTokens: 3 });
    for (let i = 0; i < 3; i++) (await context.next()).finish();
    await turn();
    expect(first).toMatchObject({ text: 'efg', end: { cachedTokens: 0 } });
    // Prompt and answer without its last token, which was never evaluated.
    expect(scheduler.stats).toMatchObject({ active: 0, kvUsed: 0, kvCached: 5 });
    const next = submit([1, 2, 3, 4, 5, 6, 9], { maxTokens: 1 });
    const step = await context.next();
    expect(step.tokens.map(([, position, token]) => [position, token])).toEqual([
      [5, 6],
      [6, 9],
    ]);
    step.finish();
    await turn();
    expect(next).toMatchObject({ text: 'k', end: { cachedTokens: 5 } });
    // The same again: its last token at least is evaluated.
    const again = submit([1, 2, 3], { maxTokens: 1 });
    const last = await context.next();
    expect(last.tokens).toEqual([[expect.any(Number), 2, 3, true]]);
    last.finish();
    await turn();
    expect(again).toMatchObject({ text: 'e', end: { cachedTokens: 2 } });
  });

  it('ends what is past its deadline, queued, in prefill or decoding, and nobody else', async () => {
    const { context, scheduler, submit } = setUp({ slots: 3, batchTokens: 8 });
    const deadlineMs = 30;
    const decoding = submit([1], { deadlineMs, maxTokens: 50 });
    const prefilling = submit(Array(40).fill(2), { deadlineMs });
    const other = submit([3], { maxTokens: 2 });
    const queued = submit([4], { deadlineMs });
    (await context.next()).finish();
    const step = await context.next();
    await new Promise((resolve) => setTimeout(resolve, deadlineMs + 5));
    step.finish();
    (await context.next()).finish();
    for (const generation of [decoding, prefilling, queued]) expect(generation.end?.reason).toBe('deadline');
    expect(decoding.end?.completionTokens).toBeGreaterThan(0);
    expect(queued.end?.completionTokens).toBe(0);
    (await context.next()).finish();
    await turn();
    expect(other).toMatchObject({ text: 'ef', end: { reason: 'length' } });
    expect(scheduler.stats).toMatchObject({ active: 0, queued: 0, kvUsed: 0 });
  });

  it('ends a sequence whose listener throws, and only that one', async () => {
    const { context, scheduler, submit } = setUp();
    const broken = submit([1], {}, () => {
      throw new Error('nobody listens');
    });
    const other = submit([3]);
    for (let i = 0; i < 3; i++) (await context.next()).finish();
    await turn();
    expect(broken).toMatchObject({ text: '', end: { reason: 'error', completionTokens: 1 } });
    expect(broken.end?.error?.message).toBe('nobody listens');
    expect(other).toMatchObject({ text: 'efg', end: { reason: 'length' } });
    expect(scheduler.stats).toMatchObject({ active: 0, kvUsed: 0 });
  });

  it('refuses what is more than may wait, and says how long the queue will take', async () => {
    const { context, submit } = setUp({ slots: 1, maxQueue: 2, maxQueueTokens: 10 });
    submit([1], { maxTokens: 9 });
    submit([2], { maxTokens: 1 });
    submit([3]);
    expect(() => submit([4])).toThrow(
      expect.objectContaining({ name: 'QueueFullError', queued: 3, queuedTokens: 3, waitMs: 0 }),
    );
    (await context.next()).finish();
    await context.next();
    expect(() => submit(Array(9).fill(4))).toThrow(expect.objectContaining({ name: 'QueueFullError' }));
    const late = expect.objectContaining({ name: 'QueueFullError', waitMs: expect.any(Number) });
    expect(() => submit([4])).toThrow(late);
    try {
      submit([4]);
    } catch (error) {
      expect((error as QueueFullError).waitMs).toBeGreaterThan(0);
    }
  });

  it('takes what can begin at once even where nothing may wait', async () => {
    const { submit } = setUp({ slots: 2, maxQueue: 0, maxQueueTokens: 0 });
    submit(Array(20).fill(1));
    submit([2], { maxTokens: 1 });
    expect(() => submit([3])).toThrow(expect.objectContaining({ name: 'QueueFullError' }));
  });
});
