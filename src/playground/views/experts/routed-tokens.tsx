/** An answer as its tokens, and which experts the chosen one went through. */
import { Scroll } from '../../scroll.tsx';
import { routedTokens, type Shape } from './decode-routes.ts';
import { chosen, lookedAt, pointed, type RoutedAnswer } from './routes.ts';
import { TokenList, wordOf } from './token-list.tsx';
import { t } from './words.ts';

export function RoutedTokens({ answer, shape }: { answer: RoutedAnswer; shape: Shape }) {
  const tokens = routedTokens(answer.pieces, shape);
  const atOf = (one: { answer: string; at: number }) => (one.answer === answer.id ? one.at : -1);
  const at = atOf(lookedAt());
  const token = tokens[at];
  return (
    <>
      <TokenList
        id={answer.id}
        tokens={tokens}
        chosen={atOf(chosen.value)}
        onChoose={(next) => {
          chosen.value = { answer: answer.id, at: next };
          pointed.value = undefined;
        }}
        onPoint={(next) => {
          pointed.value = next === undefined ? undefined : { answer: answer.id, at: next };
        }}
      />
      <div class="route" aria-live="polite">
        {token && (
          <>
            <h4>{t('route', { at: at + 1, text: wordOf(token, at === tokens.length - 1) })}</h4>
            <Scroll label={t('picked')}>
              <ol>
                {token.route.map((experts, layer) => (
                  <li key={layer}>
                    <span class="hidden">{t('routeOf', { layer, experts: experts.join(', ') })}</span>
                    <span aria-hidden="true">
                      <i>{layer}</i>
                      {experts.join(' ')}
                    </span>
                  </li>
                ))}
              </ol>
            </Scroll>
          </>
        )}
      </div>
    </>
  );
}
