import { number } from '../../language.ts';
import { Scroll } from '../../scroll.tsx';
import { nodes, rates } from './live.ts';
import { type NodeRow, stateOf } from './rates.ts';
import { t } from './words.ts';

export function NodesTable() {
  const rows = nodes.value;
  if (!rows) return <p class="hint">{t('loading')}</p>;
  if (rows.length === 0) return <p class="hint">{t('noNodes')}</p>;
  return (
    <Scroll label={t('nodes')}>
      <table class="plain nodes">
        <thead>
          <tr>
            <th scope="col">{t('node')}</th>
            <th scope="col">{t('state')}</th>
            <th scope="col">{t('slots')}</th>
            <th scope="col">{t('queue')}</th>
            <th scope="col">{t('kv')}</th>
            <th scope="col">{t('prefillRate')}</th>
            <th scope="col">{t('decodeRate')}</th>
            <th scope="col">{t('answer')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.url} row={row} />
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Row({ row }: { row: NodeRow }) {
  const { id, url, info, breaker } = row;
  const state = stateOf(row);
  const rate = rates.value.get(id);
  const perSecond = (one: number | undefined) => (one === undefined ? '–' : number(one, one < 10 ? 1 : 0));
  return (
    <tr>
      <th scope="row">
        <span class="address">{url.replace(/^https?:\/\//, '')}</span>
        <span class="hint">
          {info?.model} · {id}
        </span>
      </th>
      <td>
        <span class={`state ${state}`}>{t(state)}</span>
        {breaker.failures > 0 && (
          <span class="hint">
            {t('failures')} {breaker.failures}
          </span>
        )}
      </td>
      <td>
        <Meter used={info?.active} all={info?.slots} label={t('slots')} />
      </td>
      <td>
        {info?.queued === undefined ? '–' : number(info.queued)}
        {info?.queued_tokens ? (
          <span class="hint">{t('queuedTokens', { count: number(info.queued_tokens) })}</span>
        ) : null}
      </td>
      <td>
        <Meter used={info?.kv_used} all={info?.kv_total} label={t('kv')} />
      </td>
      <td>{perSecond(rate?.prefill)}</td>
      <td>{perSecond(rate?.decode)}</td>
      <td>{info?.answer_seconds ? t('seconds', { count: number(info.answer_seconds, 1) }) : '–'}</td>
    </tr>
  );
}

function Meter({ used, all, label }: { used: number | undefined; all: number | undefined; label: string }) {
  if (used === undefined || !all) return <>–</>;
  const part = Math.min(1, used / all);
  return (
    <>
      {t('of', { used: number(used), all: number(all) })}
      <svg
        class={`meter${part > 0.9 ? ' high' : ''}`}
        viewBox="0 0 80 6"
        role="img"
        aria-label={`${label} ${Math.round(part * 100)} %`}
      >
        <rect class="ground" width="80" height="6" rx="3" />
        <rect class="filled" width={80 * part} height="6" rx="3" />
      </svg>
    </>
  );
}
