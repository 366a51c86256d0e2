/**
 * Layers × experts. It is a table whose cells are coloured, so that a screen reader has the numbers that the eye sees
 * as shades, and a number stands where a shade is not enough.
 */
import { number } from '../../language.ts';
import type { LayerUse } from './change.ts';
import type { Shape } from './decode-routes.ts';
import { evenCounts, shade } from './heat.ts';
import { t } from './words.ts';

/** With more experts the numbers would be too small to be read; they are then for screen readers alone. */
const numberedExperts = 16;

interface HeatMapProps {
  layers: readonly LayerUse[];
  shape: Shape;
  /** Of the chosen token. */
  route: readonly (readonly number[])[] | undefined;
  chosenLayer: number;
  onLayer: (layer: number) => void;
}

export function HeatMap({ layers, shape, route, chosenLayer, onLayer }: HeatMapProps) {
  const experts = Array.from({ length: shape.experts }, (_, expert) => expert);
  const most = Math.log2(shape.experts);
  return (
    <table class={`heat${shape.experts > numberedExperts ? ' dense' : ''}`} data-routed={route !== undefined}>
      <caption class="hidden">{t('map')}</caption>
      <thead>
        <tr>
          <th scope="col">{t('layer')}</th>
          {experts.map((expert) => (
            <th key={expert} scope="col" aria-label={t('expert', { expert })}>
              {expert}
            </th>
          ))}
          <th scope="col" class="measure" title={t('entropyHint', { most: number(most, 2) })}>
            {t('entropy')}
          </th>
          <th scope="col" class="measure" title={t('imbalanceHint')}>
            {t('imbalance')}
          </th>
        </tr>
      </thead>
      <tbody>
        {layers.map((use, layer) => (
          <tr key={layer} class={layer === chosenLayer ? 'chosen' : undefined}>
            <th scope="row">
              <button
                type="button"
                aria-pressed={layer === chosenLayer}
                aria-label={t('chooseLayer', { layer })}
                onClick={() => onLayer(layer)}
              >
                {layer}
              </button>
            </th>
            {use.counts.map((count, expert) => (
              <Cell
                key={expert}
                count={count}
                tokens={use.tokens}
                evenly={evenCounts(use.tokens, shape.experts, shape.used).expert}
                rank={route?.[layer]?.indexOf(expert) ?? -1}
              />
            ))}
            <td class="measure">
              <Bar part={most === 0 ? 0 : use.entropy / most} />
              {use.tokens > 0 ? use.entropy.toFixed(2) : '–'}
            </td>
            <td class="measure">{use.tokens > 0 ? `${use.imbalance.toFixed(2)}×` : '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface CellProps {
  count: number;
  tokens: number;
  evenly: number;
  /** Place in the chosen token's route: 0 has the largest weight, −1 is not in it. */
  rank: number;
}

function Cell({ count, tokens, evenly, rank }: CellProps) {
  const routed = rank < 0 ? '' : rank === 0 ? ' first' : ' other';
  return (
    <td class={`h${shade(count, evenly)}${routed}`}>
      <span>{tokens === 0 ? '·' : Math.round((100 * count) / tokens)}</span>
      {rank >= 0 && <span class="hidden">{t('picked')}</span>}
    </td>
  );
}

/** @param part 0 to 1 */
function Bar({ part }: { part: number }) {
  return (
    <svg class="bar-line" viewBox="0 0 40 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <rect class="ground" width="40" height="6" rx="3" />
      <rect class="filled" width={(40 * part).toFixed(1)} height="6" rx="3" />
    </svg>
  );
}

/** What the shades mean. */
export function Legend() {
  return (
    <p class="legend">
      <span>{t('legend')}</span>
      <span>{t('never')}</span>
      <span class="scale" aria-hidden="true">
        {Array.from({ length: 10 }, (_, step) => (
          <i
            key={step}
            class={`h${step}${step === 3 ? ' even' : ''}`}
            title={step === 3 ? t('even') : undefined}
          />
        ))}
      </span>
      <span>{t('much')}</span>
    </p>
  );
}

/** Experts × experts of one layer. */
export function Together({ use, shape, layer }: { use: LayerUse; shape: Shape; layer: number }) {
  const { pair, expert: alone } = evenCounts(use.tokens, shape.experts, shape.used);
  return (
    <table class={`heat together${shape.experts > numberedExperts ? ' dense' : ''}`}>
      <caption>
        {t('together', { layer })}
        <span class="hint">{t('togetherHint')}</span>
      </caption>
      <thead>
        <tr>
          <th />
          {use.together.map((_, expert) => (
            <th key={expert} scope="col" aria-label={t('expert', { expert })}>
              {expert}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {use.together.map((row, expert) => (
          <tr key={expert}>
            <th scope="row" aria-label={t('expert', { expert })}>
              {expert}
            </th>
            {row.map((count, other) => (
              <td
                key={other}
                class={`h${shade(count, expert === other ? alone : pair)}${expert === other ? ' self' : ''}`}
              >
                <span>{use.tokens === 0 ? '·' : Math.round((100 * count) / use.tokens)}</span>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
