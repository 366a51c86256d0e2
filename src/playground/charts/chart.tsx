/**
 * Lines or stacked bars over time, as SVG. Small on purpose: an axis at 0, a legend that tells the newest value or the
 * one under the pointer, and a table of the same numbers for who does not see them.
 */
import { useState } from 'preact/hooks';
import { strings } from '../language.ts';
import { Scroll } from '../scroll.tsx';
import { ticks } from './ticks.ts';
import { useWidth } from './use-width.ts';
import './charts.css';

const t = strings({
  zh: { table: '数据表', time: '时间', none: '暂无数据' },
  en: { table: 'As a table', time: 'Time', none: 'No data yet' },
});

interface Series {
  name: string;
  /** One a time; null: not known. */
  values: readonly (number | null)[];
  /** Which of the colours in charts.css; lines also differ by their dashes. */
  tone: 1 | 2 | 3 | 4;
}

interface ChartProps {
  title: string;
  hint?: string;
  kind: 'lines' | 'bars';
  /** Ascending; milliseconds since 1970. */
  times: readonly number[];
  series: readonly Series[];
  time: (at: number) => string;
  value: (value: number) => string;
  /** From the first to the last, where it is longer than `times` is. Milliseconds. */
  spanMs?: number;
}

const height = 170;
const margin = { top: 10, right: 8, bottom: 22, left: 54 };
const labelWidth = 90;
/** The table has the newest; more would be no help. */
const tableRows = 60;

export function Chart(props: ChartProps) {
  const { title, hint, kind, times, series, time, value } = props;
  const [frame, width] = useWidth<HTMLDivElement>();
  const [pointed, setPointed] = useState<number | undefined>(undefined);
  const at = pointed !== undefined && pointed < times.length ? pointed : times.length - 1;
  const isEmpty = series.every(({ values }) => values.every((one) => one === null));
  const place = placeOf(props, width);

  function point(event: PointerEvent): void {
    const { left } = (event.currentTarget as Element).getBoundingClientRect();
    const x = event.clientX - left;
    const distance = (index: number) => Math.abs(place.x(index) - x);
    setPointed(times.reduce((best, _, index) => (distance(index) < distance(best) ? index : best), 0));
  }

  return (
    <figure class="chart card">
      <figcaption>
        <h3>{title}</h3>
        {hint && <p class="hint">{hint}</p>}
        <ul class="keys">
          {series.map(({ name, values, tone }) => (
            <li key={name} class={`tone-${tone}`}>
              <svg class="swatch" viewBox="0 0 18 8" aria-hidden="true" focusable="false">
                <path class={kind === 'lines' ? 'line' : 'block'} d="M1 4h16" />
              </svg>
              {name} <strong>{values[at] == null ? '–' : value(values[at]!)}</strong>
            </li>
          ))}
          {pointed !== undefined && times[at] !== undefined && <li class="when">{time(times[at]!)}</li>}
        </ul>
      </figcaption>
      <div ref={frame} class="plot">
        {width > 0 && (
          <svg
            width={width}
            height={height}
            aria-hidden="true"
            focusable="false"
            onPointerMove={point}
            onPointerDown={point}
            onPointerLeave={() => setPointed(undefined)}
          >
            <Axes {...props} place={place} width={width} />
            {kind === 'lines' ? (
              <Lines series={series} place={place} />
            ) : (
              <Bars series={series} times={times} place={place} />
            )}
            {pointed !== undefined && times.length > 0 && (
              <line
                class="cursor"
                x1={place.x(at)}
                x2={place.x(at)}
                y1={margin.top}
                y2={height - margin.bottom}
              />
            )}
            {isEmpty && (
              <text class="none" x={width / 2} y={height / 2}>
                {t('none')}
              </text>
            )}
          </svg>
        )}
      </div>
      {!isEmpty && <Table {...props} />}
    </figure>
  );
}

interface Place {
  x: (index: number) => number;
  y: (value: number) => number;
  marks: number[];
  /** Of one bar with its gap. */
  step: number;
}

function placeOf({ kind, times, series, spanMs = 0 }: ChartProps, width: number): Place {
  const stacked = (index: number) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0);
  const all = kind === 'bars' ? times.map((_, at) => stacked(at)) : series.flatMap(({ values }) => values);
  const marks = ticks(all.reduce<number>((most, one) => Math.max(most, one ?? 0), 0));
  const inner = Math.max(1, width - margin.left - margin.right);
  const step = inner / Math.max(1, times.length);
  const last = times.at(-1) ?? 0;
  const span = Math.max(spanMs, last - (times[0] ?? 0), 1);
  return {
    marks,
    step,
    x: (index) =>
      kind === 'bars'
        ? margin.left + (index + 0.5) * step
        : margin.left + inner * (1 - (last - times[index]!) / span),
    y: (one) => height - margin.bottom - (one / marks.at(-1)!) * (height - margin.top - margin.bottom),
  };
}

function Axes({ times, time, value, place, width }: ChartProps & { place: Place; width: number }) {
  // From the newest back, with room for what each says.
  const shown: number[] = [];
  for (let index = times.length - 1; index >= 0; index--) {
    const next = shown.at(-1);
    if (next === undefined || place.x(next) - place.x(index) >= labelWidth) shown.push(index);
  }
  return (
    <>
      {place.marks.map((mark) => (
        <g key={mark}>
          <line
            class="grid"
            x1={margin.left}
            x2={width - margin.right}
            y1={place.y(mark)}
            y2={place.y(mark)}
          />
          <text class="mark" x={margin.left - 7} y={place.y(mark) + 4}>
            {value(mark)}
          </text>
        </g>
      ))}
      {shown.map((index) => {
        const x = place.x(index);
        const anchor = x > width - margin.right - 40 ? 'end' : 'middle';
        return (
          <text key={index} class="moment" x={x} y={height - 5} text-anchor={anchor}>
            {time(times[index]!)}
          </text>
        );
      })}
    </>
  );
}

function Lines({ series, place }: { series: readonly Series[]; place: Place }) {
  return (
    <>
      {series.map(({ name, values, tone }) => (
        <g key={name} class={`tone-${tone}`}>
          <path class="line" d={pathOf(values, place)} />
          {values.map((one, at) => {
            const isAlone = one !== null && values[at - 1] == null && values[at + 1] == null;
            return isAlone && <circle key={at} class="dot" cx={place.x(at)} cy={place.y(one)} r="2.5" />;
          })}
        </g>
      ))}
    </>
  );
}

/** With a gap wherever nothing is known. */
function pathOf(values: readonly (number | null)[], { x, y }: Place): string {
  let path = '';
  let isDown = false;
  for (const [at, one] of values.entries()) {
    if (one !== null) path += `${isDown ? 'L' : 'M'}${x(at).toFixed(1)} ${y(one).toFixed(1)}`;
    isDown = one !== null;
  }
  return path;
}

function Bars({
  series,
  times,
  place,
}: {
  series: readonly Series[];
  times: readonly number[];
  place: Place;
}) {
  const width = Math.max(1, Math.min(28, place.step * 0.72));
  return (
    <>
      {times.map((moment, at) => {
        let below = 0;
        return series.map(({ name, values, tone }) => {
          const one = values[at] ?? 0;
          const y = place.y(below + one);
          const tall = place.y(below) - y;
          below += one;
          return (
            tall > 0 && (
              <rect
                key={`${moment} ${name}`}
                class={`block tone-${tone}`}
                x={place.x(at) - width / 2}
                y={y}
                width={width}
                height={tall}
              />
            )
          );
        });
      })}
    </>
  );
}

function Table({ title, times, series, time, value }: ChartProps) {
  const first = Math.max(0, times.length - tableRows);
  return (
    <details>
      <summary>{t('table')}</summary>
      <Scroll label={title} class="tall">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">{t('time')}</th>
              {series.map(({ name }) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {times.slice(first).map((moment, at) => (
              <tr key={moment}>
                <th scope="row">{time(moment)}</th>
                {series.map(({ name, values }) => {
                  const one = values[first + at];
                  return <td key={name}>{one == null ? '–' : value(one)}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}
