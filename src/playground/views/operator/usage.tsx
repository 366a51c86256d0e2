/** What was used, by the hour and by key, as the edge has metered it. */
import { useState } from 'preact/hooks';
import { getJson } from '../../api.ts';
import { Chart } from '../../charts/chart.tsx';
import { language, number } from '../../language.ts';
import { usePoll } from '../../poll.ts';
import { Scroll } from '../../scroll.tsx';
import { type Bucket, bucketsOf, spans, type UsageRow } from './buckets.ts';
import { milliseconds } from './live-charts.tsx';
import { t } from './words.ts';

type SpanName = keyof typeof spans;

const everyMs = 15_000;
/** Names of so many pages of a hundred keys are asked for; others stand with their ids. */
const keyPages = 5;

interface Used {
  buckets: Bucket[];
  keys: UsageRow[];
  names: ReadonlyMap<string, string>;
}

async function read(span: SpanName, key: string | undefined, abort: AbortSignal): Promise<Used> {
  const { seconds, bucket } = spans[span];
  const to = Math.floor(Date.now() / 1000) + 1;
  const from = to - seconds;
  const get = async (query: string) =>
    (await getJson<{ data: UsageRow[] }>(`/admin/usage?from=${from}&to=${to}&${query}`, { signal: abort }))
      .data;
  const [hours, keys, names] = await Promise.all([
    get(`group_by=hour${key ? `&key=${encodeURIComponent(key)}` : ''}`),
    get('group_by=key'),
    keyNames(abort),
  ]);
  const offset = -new Date().getTimezoneOffset() * 60;
  const most = (row: UsageRow) => row.prompt_tokens + row.completion_tokens;
  return {
    buckets: bucketsOf(hours, { from, to, bucket, offset }),
    keys: keys.sort((one, other) => most(other) - most(one)),
    names,
  };
}

async function keyNames(abort: AbortSignal): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  let after = '';
  for (let page = 0; page < keyPages; page++) {
    const path = `/admin/keys?limit=100${after && `&after=${after}`}`;
    const { data, has_more } = await getJson<{ data: { id: string; name: string }[]; has_more: boolean }>(
      path,
      {
        signal: abort,
      },
    );
    for (const { id, name } of data) names.set(id, name);
    after = data.at(-1)?.id ?? '';
    if (!has_more) break;
  }
  return names;
}

export function Usage() {
  const [span, setSpan] = useState<SpanName>('day');
  const [key, setKey] = useState<string | undefined>(undefined);
  const [used, setUsed] = useState<Used | undefined>(undefined);
  usePoll(
    async (abort) => {
      const found = await read(span, key, abort);
      if (!abort.aborted) setUsed(found);
      return true;
    },
    everyMs,
    [span, key],
  );
  return (
    <section class="used" aria-labelledby="used-title">
      <div class="row">
        <h2 id="used-title">{t('used')}</h2>
        <fieldset class="choices">
          <legend class="hidden">{t('span')}</legend>
          {(Object.keys(spans) as SpanName[]).map((one) => (
            <label key={one}>
              <input type="radio" name="usage-span" checked={one === span} onChange={() => setSpan(one)} />
              <span>{t(one)}</span>
            </label>
          ))}
        </fieldset>
        {key !== undefined && (
          <button type="button" onClick={() => setKey(undefined)}>
            {t('all')}
          </button>
        )}
      </div>
      {used ? (
        <>
          <Over buckets={used.buckets} span={span} name={key && (used.names.get(key) ?? key)} />
          <Keys used={used} chosen={key} onChoose={setKey} />
        </>
      ) : (
        <p class="hint">{t('loading')}</p>
      )}
    </section>
  );
}

function Over({ buckets, span, name }: { buckets: Bucket[]; span: SpanName; name: string | undefined }) {
  const moment = (at: number) =>
    new Date(at).toLocaleString(
      language.value,
      span === 'day'
        ? { hour: '2-digit', minute: '2-digit', hour12: false }
        : { month: 'numeric', day: 'numeric', ...(span === 'week' && { hour: '2-digit', hour12: false }) },
    );
  const times = buckets.map(({ at }) => at * 1000);
  const every = { day: 'tokensHour', week: 'tokensQuarter', month: 'tokensDay' } as const;
  const hint = [name, t(every[span])].filter(Boolean).join(' · ');
  return (
    <div class="charts two">
      <Chart
        kind="bars"
        title={t('tokens')}
        hint={hint}
        times={times}
        time={moment}
        value={compact}
        series={[
          { name: t('completion'), tone: 1, values: buckets.map(({ completion }) => completion) },
          { name: t('prompt'), tone: 2, values: buckets.map(({ prompt }) => prompt) },
        ]}
      />
      <Chart
        kind="lines"
        title={t('ttftOver')}
        hint={hint}
        times={times}
        time={moment}
        value={milliseconds}
        series={[
          { name: t('median'), tone: 1, values: buckets.map(({ ttft50 }) => ttft50 ?? null) },
          { name: t('p95'), tone: 2, values: buckets.map(({ ttft95 }) => ttft95 ?? null) },
        ]}
      />
    </div>
  );
}

function compact(value: number): string {
  return value.toLocaleString(language.value, { notation: 'compact', maximumFractionDigits: 1 });
}

interface KeysProps {
  used: Used;
  chosen: string | undefined;
  onChoose: (key: string | undefined) => void;
}

/** A bar chart that is a table. */
function Keys({ used: { keys, names }, chosen, onChoose }: KeysProps) {
  const tokens = (row: UsageRow) => row.prompt_tokens + row.completion_tokens;
  const most = Math.max(1, ...keys.map(tokens));
  return (
    <section class="card">
      <h3>{t('keys')}</h3>
      {keys.length === 0 ? (
        <p class="hint">{t('noUsage')}</p>
      ) : (
        <Scroll label={t('keys')}>
          <table class="plain by-key">
            <thead>
              <tr>
                <th scope="col">{t('key')}</th>
                <th scope="col">{t('tokens')}</th>
                <th scope="col" class="wide">
                  <span class="hidden">{t('share')}</span>
                </th>
                <th scope="col">{t('requests')}</th>
                <th scope="col">{t('errors')}</th>
                <th scope="col">{t('cached')}</th>
              </tr>
            </thead>
            <tbody>
              {keys.map((row) => {
                const id = row.key ?? '';
                const name = names.get(id) ?? id;
                return (
                  <tr key={id}>
                    <th scope="row">
                      <button
                        type="button"
                        class="quiet"
                        aria-pressed={id === chosen}
                        aria-label={t('only', { key: name })}
                        title={id}
                        onClick={() => onChoose(id === chosen ? undefined : id)}
                      >
                        {name}
                      </button>
                    </th>
                    <td>{number(tokens(row))}</td>
                    <td class="wide">
                      <svg
                        class="stack"
                        viewBox="0 0 100 10"
                        preserveAspectRatio="none"
                        aria-hidden="true"
                        focusable="false"
                      >
                        <rect class="block tone-1" width={(100 * row.completion_tokens) / most} height="10" />
                        <rect
                          class="block tone-2"
                          x={(100 * row.completion_tokens) / most}
                          width={(100 * row.prompt_tokens) / most}
                          height="10"
                        />
                      </svg>
                    </td>
                    <td>{number(row.requests)}</td>
                    <td class={row.errors > 0 ? 'bad' : undefined}>{number(row.errors)}</td>
                    <td>
                      {row.prompt_tokens > 0
                        ? `${number((100 * row.cached_tokens) / row.prompt_tokens)} %`
                        : '–'}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}
