import { Chart } from '../../charts/chart.tsx';
import { language, number } from '../../language.ts';
import { moments, speeds } from './live.ts';
import { t } from './words.ts';

const clock = (at: number) =>
  new Date(at).toLocaleTimeString(language.value, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hour12: false,
  });

/** Before so much has come, lines grow in from the right. */
const spanMs = 60_000;

export function LiveCharts() {
  const seen = moments.value;
  const times = seen.map(({ at }) => at);
  const lines = { kind: 'lines', time: clock, spanMs } as const;
  return (
    <div class="charts">
      <Chart
        {...lines}
        title={t('load')}
        hint={t('loadHint')}
        times={times}
        value={(value) => number(value, 1)}
        series={[
          { name: t('running'), tone: 1, values: seen.map(({ active }) => active) },
          { name: t('waiting'), tone: 2, values: seen.map(({ queued }) => queued) },
        ]}
      />
      <Chart
        {...lines}
        title={t('speed')}
        hint={t('perSecond')}
        times={times}
        value={(value) => number(value, value < 10 ? 1 : 0)}
        series={[
          { name: t('decode'), tone: 1, values: seen.map(({ decode }) => decode) },
          { name: t('prefill'), tone: 2, values: seen.map(({ prefill }) => prefill) },
        ]}
      />
      <Chart
        {...lines}
        title={t('ttft')}
        hint={t('ttftHint')}
        times={speeds.value.map(({ at }) => at)}
        value={milliseconds}
        series={[
          { name: t('median'), tone: 1, values: speeds.value.map(({ ttft50 }) => ttft50) },
          { name: t('p95'), tone: 2, values: speeds.value.map(({ ttft95 }) => ttft95) },
        ]}
      />
    </div>
  );
}

export function milliseconds(value: number): string {
  return value < 1_000 ? `${number(value)} ms` : `${number(value / 1_000, 1)} s`;
}
