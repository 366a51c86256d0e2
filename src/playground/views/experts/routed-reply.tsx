/** Under an answer of the chat that was asked for with routes: its tokens, and the way to the map. */
import { useEffect, useState } from 'preact/hooks';
import { RoutedTokens } from './routed-tokens.tsx';
import { routedAnswers } from './routes.ts';
import { latest, look, problem, shapeOf } from './watch.ts';
import { t } from './words.ts';

/** @param id of the chat's turn */
export function RoutedReply({ id, model }: { id: string; model: string }) {
  const [isOpen, setOpen] = useState(false);
  const answer = routedAnswers.value.find((one) => one.id === id);
  const body = latest.value?.model === model ? latest.value : undefined;
  const isUnknown = isOpen && !body;
  useEffect(() => {
    // How many layers and experts there are stands in no answer.
    if (isUnknown) void look(model, new AbortController().signal);
  }, [isUnknown, model]);
  if (!answer) return null;
  return (
    <details class="routed" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{t('routedReply')}</summary>
      {isOpen && body && (
        <>
          <RoutedTokens answer={answer} shape={shapeOf(body)} />
          <a href="#/experts">{t('inMap')}</a>
        </>
      )}
      {isOpen && !body && problem.value && (
        <p class="hint">{problem.value.code === 'missing_scope' ? t('needsScope') : problem.value.message}</p>
      )}
    </details>
  );
}
