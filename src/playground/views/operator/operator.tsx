/** The fleet for who runs it. Nothing here is stored: charts begin when the page is opened. */
import { usePoll } from '../../poll.ts';
import { adminToken } from '../../secrets.ts';
import { forget, lookAtNodes, lookAtSpeed, nodesEveryMs, problem, speedEveryMs } from './live.ts';
import { LiveCharts } from './live-charts.tsx';
import { Login } from './login.tsx';
import { NodesTable } from './nodes-table.tsx';
import { Usage } from './usage.tsx';
import { t } from './words.ts';
import '../../page.css';
import './operator.css';

export function Operator() {
  const token = adminToken.value.value;
  return (
    <div class="page operator">
      {token === '' ? <Login wasWrong={problem.value?.isKey ?? false} /> : <Fleet key={token} />}
    </div>
  );
}

function Fleet() {
  usePoll(lookAtNodes, nodesEveryMs, []);
  usePoll(lookAtSpeed, speedEveryMs, []);
  return (
    <>
      <header class="page-head row">
        <h2>{t('title')}</h2>
        <button
          type="button"
          class="quiet"
          onClick={() => {
            adminToken.set('', false);
            forget();
          }}
        >
          {t('logout')}
        </button>
      </header>
      {problem.value && !problem.value.isKey && (
        <p class="problem" role="status">
          {problem.value.message}
        </p>
      )}
      <section class="card" aria-labelledby="nodes-title">
        <h3 id="nodes-title">{t('nodes')}</h3>
        <NodesTable />
      </section>
      <LiveCharts />
      <Usage />
    </>
  );
}
