/** An evaluation's figures, beside the published one. */
import { type Cell, dim, table } from '../terminal.ts';
import { type Estimate, mean, meanOfShares, share } from './intervals.ts';
import type { Answered } from './records.ts';
import type { Item, Suite } from './suite.ts';

interface Row {
  group: string;
  items: number;
  /** Answers out of which nothing could be read; of a judged suite: ratings. */
  unread: number;
  /** Answers that ended at their longest. */
  cut: number;
  /** Percent, or points of ten. */
  score: number | null;
  low: number | null;
  high: number | null;
}

export interface Report {
  suite: string;
  model: string;
  shots: number;
  judge: string | null;
  answered: number;
  of: number;
  /** Whether all questions of the data were asked. */
  whole: boolean;
  score: number | null;
  low: number | null;
  high: number | null;
  published: number | null;
  /** Of a judged suite: by turn. */
  turns?: { turn: number; ratings: number; score: number | null }[];
  groups: Row[];
  completion_tokens: number;
}

const rounded = (value: number) => (Number.isFinite(value) ? Math.round(value * 100) / 100 : null);
const scaled = ({ value, low, high }: Estimate, by: number) => ({
  score: rounded(value * by),
  low: rounded(low * by),
  high: rounded(high * by),
});

export function reportOf(
  {
    name,
    suite,
    model,
    shots,
    judge,
  }: { name: string; suite: Suite; model: string; shots: number; judge: string | null },
  items: readonly Item[],
  answered: ReadonlyMap<string, Answered>,
  isWhole: boolean,
): Report {
  const groups = new Map<string, Answered[]>();
  for (const { id, group } of items) {
    const record = answered.get(id);
    if (!record) continue;
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group)!.push(record);
  }
  const all = [...groups.values()].flat();
  // As many trials as questions, however many points each is worth.
  const pointsOf = (records: readonly Answered[]) => {
    const points = records.reduce((sum, { score }) => sum + (score?.points ?? 0), 0);
    const most = records.reduce((sum, { score }) => sum + (score?.of ?? 0), 0);
    return { right: most ? (points / most) * records.length : 0, of: records.length };
  };
  const ratingsOf = (records: readonly Answered[], turn?: number) =>
    records.flatMap(({ judgements = [] }) =>
      judgements.filter((one) => !turn || one.turn === turn).flatMap(({ rating }) => rating ?? []),
    );
  const estimate = (records: readonly Answered[]) => {
    if (suite.judged) return scaled(mean(ratingsOf(records)), 1);
    const { right, of } = pointsOf(records);
    return scaled(share(right, of), 100);
  };
  const rows = [...groups].map(([group, records]): Row => {
    const unread = suite.judged
      ? records.reduce(
          (sum, { answers, judgements = [] }) =>
            sum + answers.length - judgements.filter(({ rating }) => rating !== null).length,
          0,
        )
      : records.filter(({ score }) => score?.read === null).length;
    const cut = records.filter(({ finish }) => finish.includes('length')).length;
    return { group, items: records.length, unread, cut, ...estimate(records) };
  });
  const total =
    suite.average === 'groups' && rows.length > 0
      ? scaled(meanOfShares([...groups.values()].map(pointsOf)), 100)
      : estimate(all);
  return {
    suite: name,
    model,
    shots,
    judge,
    answered: all.length,
    of: items.length,
    whole: isWhole && all.length === items.length,
    ...total,
    published: suite.published ?? null,
    ...(suite.judged && {
      turns: [1, 2].map((turn) => {
        const ratings = ratingsOf(all, turn);
        return { turn, ratings: ratings.length, score: rounded(mean(ratings).value) };
      }),
    }),
    groups: rows.sort((a, b) => (a.group < b.group ? -1 : 1)),
    completion_tokens: all.reduce((sum, { completion_tokens }) => sum + completion_tokens, 0),
  };
}

const shown = ({ score, low, high }: Pick<Row, 'score' | 'low' | 'high'>): Cell[] => [
  score,
  low === null || high === null ? '' : `${low} – ${high}`,
];

export function reportText(report: Report, suite: Suite): string {
  const unit = suite.judged ? 'of 10' : '%';
  const rows = report.groups.map((row): Cell[] => [row.group, row.items, row.unread, row.cut, ...shown(row)]);
  const lines = [
    table(
      [
        suite.judged ? 'category' : 'group',
        'items',
        suite.judged ? 'unrated' : 'unread',
        'cut',
        unit,
        '95 %',
      ],
      rows,
    ),
    '',
    table(
      [suite.title, 'items', unit, '95 %', 'Huozi 3.5, published'],
      [[report.model, report.answered, ...shown(report), report.published]],
    ),
  ];
  const notes = [
    suite.average === 'groups' && 'The whole is the mean of the groups.',
    ...(report.turns ?? []).map(
      ({ turn, ratings, score }) => `Turn ${turn}: ${score ?? 'no rating'} (${ratings} ratings).`,
    ),
    suite.judged && !report.judge && 'No judge was named (--judge-model): nothing is rated.',
    !report.whole && 'Not all questions were answered: no figure of the whole suite.',
    suite.note && `${suite.title}: ${suite.note}.`,
  ].filter(Boolean);
  return `${lines.join('\n')}\n\n${dim(notes.join('\n'))}`;
}
