/** Intervals against known values, what a crash leaves of an evaluation, and its report. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mean, meanOfShares, share } from '../src/cli/eval/intervals.ts';
import { type Answered, headOf, openRecords } from '../src/cli/eval/records.ts';
import { reportOf, reportText } from '../src/cli/eval/report.ts';
import type { Item } from '../src/cli/eval/suite.ts';
import { suites } from '../src/cli/eval/suites.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huozi-eval-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("Wilson's interval, as R's prop.test(correct = FALSE) has it", () => {
  const { low, high } = share(8, 10);
  expect([low, high].map((one) => one.toFixed(4))).toEqual(['0.4902', '0.9433']);
  expect(share(0, 10).low).toBe(0);
  expect(share(0, 10).high.toFixed(4)).toBe('0.2775');
});

test('a mean, and the mean of groups', () => {
  const { value, low, high } = mean([2, 4, 6]);
  expect([value, low, high].map((one) => one.toFixed(3))).toEqual(['4.000', '1.737', '6.263']);
  const groups = meanOfShares([
    { right: 1, of: 2 },
    { right: 100, of: 100 },
  ]);
  expect(groups.value).toBe(0.75);
  expect(groups.low).toBeLessThan(0.75);
  expect(groups.high).toBeGreaterThan(0.75);
});

const item = (id: string, group: string): Item => ({
  id,
  group,
  messages: [{ role: 'user', content: id }],
  key: 1,
});
const items = [item('a', 'x'), item('b', 'x'), item('c', 'y'), item('d', 'y')];
const record = (id: string, points: number, rest: Partial<Answered> = {}): Answered => ({
  id,
  answers: ['7'],
  finish: ['stop'],
  completion_tokens: 3,
  score: { points, of: 1, read: points ? '7' : null },
  ...rest,
});

test('goes on after a crash; a torn line is asked again; another evaluation is not mixed in', async () => {
  const path = join(folder, 'results.jsonl');
  const head = headOf('gsm8k', 'huozi', 4, items);
  const first = await openRecords(path, head);
  expect(first.answered.size).toBe(0);
  await first.file.write(
    `${JSON.stringify(record('a', 0))}\n${JSON.stringify(record('a', 1))}\n{"id":"b","ans`,
  );
  await first.file.close();
  const second = await openRecords(path, head);
  expect([...second.answered.values()]).toEqual([record('a', 1)]);
  await second.file.write(`${JSON.stringify(record('b', 1))}\n`);
  await second.file.close();
  expect((await readFile(path, 'utf8')).trim().split('\n').length).toBe(3);
  const other = headOf('gsm8k', 'huozi', 4, items.slice(1));
  await expect(openRecords(path, other)).rejects.toThrow('its questions differ');
  await expect(openRecords(path, { ...head, model: 'other' })).rejects.toThrow('its model differ');
  await writeFile(path, 'no JSON\n');
  await expect(openRecords(path, head)).rejects.toThrow('another evaluation');
});

test('a report counts what could not be read and what was cut, and says when it is not whole', () => {
  const answered = new Map([
    ['a', record('a', 1)],
    ['b', record('b', 0, { finish: ['length'] })],
    ['c', record('c', 1)],
  ]);
  const asked = { name: 'gsm8k', suite: suites.gsm8k!, model: 'huozi', shots: 4, judge: null };
  const report = reportOf(asked, items, answered, true);
  expect(report).toMatchObject({ answered: 3, of: 4, whole: false, score: 66.67, published: 66.19 });
  expect(report.groups).toMatchObject([
    { group: 'x', items: 2, unread: 1, cut: 1, score: 50 },
    { group: 'y', items: 1, unread: 0, cut: 0, score: 100 },
  ]);
  expect(reportText(report, suites.gsm8k!)).toContain('Not all questions were answered');
  // Every subject alike, where the suite has it so.
  const byGroup = reportOf({ ...asked, name: 'ceval', suite: suites.ceval! }, items, answered, true);
  expect(byGroup.score).toBe(75);
});

test('a judged suite: the mean of ratings, by turn, and what was not rated', () => {
  const judged = (id: string, ratings: (number | null)[]) =>
    record(id, 0, {
      answers: ['1', '2'],
      judgements: ratings.map((rating, at) => ({ turn: (at + 1) as 1 | 2, rating, text: '' })),
    });
  const answered = new Map([
    ['a', judged('a', [8, 6])],
    ['c', judged('c', [4, null])],
  ]);
  const asked = { name: 'mt-bench', suite: suites['mt-bench']!, model: 'huozi', shots: 0, judge: 'j' };
  const report = reportOf(asked, [items[0]!, items[2]!], answered, true);
  expect(report).toMatchObject({ score: 6, whole: true });
  expect(report.turns).toEqual([
    { turn: 1, ratings: 2, score: 6 },
    { turn: 2, ratings: 1, score: 6 },
  ]);
  expect(report.groups.map(({ unread }) => unread)).toEqual([0, 1]);
});
