/** Where the routers send tokens: of everybody's, as the nodes count them, and of one answer, token by token. */
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { huozi, problemOf } from '../../api.ts';
import { number } from '../../language.ts';
import { usePoll } from '../../poll.ts';
import { Scroll } from '../../scroll.tsx';
import { adminToken, key } from '../../secrets.ts';
import { AnswerRoutes } from './answer-routes.tsx';
import { allOf } from './change.ts';
import { HeatMap, Legend, Together } from './heat-map.tsx';
import { isRouting, shownRoute } from './routes.ts';
import { arrived, latest, look, problem, recent, shapeOf } from './watch.ts';
import { t } from './words.ts';
import '../../page.css';
import './experts.css';

const pollMs = 1_000;

const models = signal<readonly string[]>([]);
const chosenModel = signal('');
const span = signal<'total' | 'recent'>('total');

export function Experts() {
  const [layer, setLayer] = useState(0);
  const model = chosenModel.value || models.value[0] || '';
  useEffect(() => {
    huozi.models.list().then(
      ({ data }) => {
        models.value = data.map(({ id }) => id);
      },
      (error: unknown) => {
        problem.value = problemOf(error);
      },
    );
  }, [key.value.value]);
  usePoll(async (abort) => model !== '' && look(model, abort), pollMs, [
    model,
    key.value.value,
    adminToken.value.value,
  ]);

  const body = latest.value?.model === model ? latest.value : undefined;
  const shape = body && body.layers.length > 0 ? shapeOf(body) : undefined;
  const isRecent = span.value === 'recent';
  const layers = !body ? [] : isRecent ? (recent.value?.layers ?? []) : allOf(body);
  const use = layers[Math.min(layer, layers.length - 1)];
  return (
    <div class="page experts">
      <header class="page-head">
        <h2>{t('title')}</h2>
        <p class="hint">{t('intro')}</p>
        <label class="tick">
          <input
            type="checkbox"
            checked={isRouting.value}
            onChange={({ currentTarget }) => {
              isRouting.value = currentTarget.checked;
            }}
          />
          <span>{t('routes')}</span>
        </label>
      </header>
      <Status model={model} />
      <div class="columns">
        <div class="column">
          <AnswerRoutes model={model} shape={shape} />
          {shape && use && (
            <section class="card pairs">
              <Scroll label={t('together', { layer })}>
                <Together use={use} shape={shape} layer={Math.min(layer, layers.length - 1)} />
              </Scroll>
            </section>
          )}
        </div>
        <section class="card map" aria-label={t('map')}>
          <div class="row">
            <Span />
            <Legend />
          </div>
          {body && <Counted />}
          {shape && layers.length > 0 && (
            <Scroll label={t('map')}>
              <HeatMap
                layers={layers}
                shape={shape}
                route={shownRoute(shape)}
                chosenLayer={layer}
                onLayer={setLayer}
              />
            </Scroll>
          )}
          {shape && isRecent && !recent.value && <p class="hint">{t('quiet')}</p>}
          {!body && !problem.value && <p class="hint">{t('loading')}</p>}
        </section>
      </div>
    </div>
  );
}

function Status({ model }: { model: string }) {
  const fault = problem.value;
  const isScope = fault?.code === 'missing_scope';
  return (
    <>
      {models.value.length > 1 && (
        <label class="field model">
          <span>{t('model')}</span>
          <select
            value={model}
            onChange={({ currentTarget }) => {
              chosenModel.value = currentTarget.value;
            }}
          >
            {models.value.map((id) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
      )}
      {fault && (
        <p class="problem" role="status">
          {isScope ? t('needsScope') : fault.message}
        </p>
      )}
    </>
  );
}

function Span() {
  const seconds = number(Math.max(1, recent.value?.seconds ?? 10));
  return (
    <fieldset class="choices">
      <legend class="hidden">{t('window')}</legend>
      {(['total', 'recent'] as const).map((one) => (
        <label key={one}>
          <input
            type="radio"
            name="span"
            checked={span.value === one}
            onChange={() => {
              span.value = one;
            }}
          />
          <span>{t(one, { seconds })}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Counted() {
  const { tokens_sampled, steps, steps_sampled, sampling_cost, nodes } = latest.value!;
  const silent = nodes
    .filter(({ status }) => status !== 'counted')
    .map(({ id, status }) => `${id} (${status})`);
  const cost = number(sampling_cost * 100, 1);
  const isBlind = nodes.every(({ status }) => status === 'unavailable');
  return (
    <p class="hint counted">
      <strong>{t('tokens', { count: number(tokens_sampled) })}</strong>{' '}
      <span class={arrived.value > 0 ? 'fresh' : undefined}>
        {t('arrived', { count: number(arrived.value) })}
      </span>
      {' · '}
      {t('sampled', { sampled: number(steps_sampled), steps: number(steps), cost })}
      {silent.length > 0 && <> · {t('silent', { nodes: silent.join(', ') })}</>}
      {isBlind && <> · {t('unavailable')}</>}
      {tokens_sampled === 0 && !isBlind && <> · {t('nothing')}</>}
    </p>
  );
}
