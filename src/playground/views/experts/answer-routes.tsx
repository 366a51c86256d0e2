/** Asks a question, shows the answer's tokens, and says which experts the chosen one went through. */
import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { huozi, problemOf } from '../../api.ts';
import { Scroll } from '../../scroll.tsx';
import { routedTokens, type Shape } from './decode-routes.ts';
import { recordRoutes, routedAnswers } from './routes.ts';
import { TokenList, wordOf } from './token-list.tsx';
import { t } from './words.ts';

/** Of which answer which token; `at` −1 is none. */
const chosen = signal({ answer: '', at: -1 });
const failure = signal('');
const running = signal<AbortController | undefined>(undefined);

/** The chosen token's experts by layer. */
export function chosenRoute(shape: Shape): readonly (readonly number[])[] | undefined {
  const answer = routedAnswers.value.find(({ id }) => id === chosen.value.answer);
  return answer && routedTokens(answer.pieces, shape)[chosen.value.at]?.route;
}

async function ask(model: string, question: string): Promise<void> {
  running.value?.abort();
  const mine = new AbortController();
  const id = crypto.randomUUID();
  running.value = mine;
  failure.value = '';
  try {
    const stream = await huozi.chat.completions.create(
      {
        model,
        messages: [{ role: 'user', content: question }],
        temperature: 0,
        max_tokens: 256,
        stream: true,
        return_routed_experts: true,
      },
      { signal: mine.signal },
    );
    chosen.value = { answer: id, at: -1 };
    for await (const chunk of stream) recordRoutes(id, question, chunk);
  } catch (error) {
    if (!mine.signal.aborted) failure.value = problemOf(error).message;
  } finally {
    if (running.value === mine) running.value = undefined;
  }
}

export function AnswerRoutes({ model, shape }: { model: string; shape: Shape | undefined }) {
  const answers = routedAnswers.value;
  const answer = answers.find(({ id }) => id === chosen.value.answer) ?? answers[0];
  const tokens = answer && shape ? routedTokens(answer.pieces, shape) : [];
  const at = answer?.id === chosen.value.answer ? chosen.value.at : -1;
  const token = tokens[at];
  return (
    <section class="card asked" aria-labelledby="ask-title">
      <h3 id="ask-title">{t('question')}</h3>
      <AskForm model={model} />
      {failure.value && (
        <p class="problem" role="alert">
          {failure.value}
        </p>
      )}
      {answers.length > 1 && (
        <label class="field">
          <span>{t('answers')}</span>
          <select
            value={answer!.id}
            onChange={({ currentTarget }) => {
              chosen.value = { answer: currentTarget.value, at: -1 };
            }}
          >
            {answers.map(({ id, question }) => (
              <option key={id} value={id}>
                {question}
              </option>
            ))}
          </select>
        </label>
      )}
      {answer && tokens.length > 0 ? (
        <>
          <p class="hint question">{answer.question}</p>
          <TokenList
            tokens={tokens}
            chosen={at}
            onChoose={(next) => {
              chosen.value = { answer: answer.id, at: next };
            }}
          />
        </>
      ) : (
        <p class="hint">{t('noAnswer')}</p>
      )}
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
    </section>
  );
}

function AskForm({ model }: { model: string }) {
  const [question, setQuestion] = useState('');
  const isRunning = running.value !== undefined;
  return (
    <form
      class="row ask"
      onSubmit={(event) => {
        event.preventDefault();
        if (isRunning) running.value?.abort();
        else void ask(model, question.trim() || t('placeholder'));
      }}
    >
      <input
        aria-labelledby="ask-title"
        placeholder={t('placeholder')}
        value={question}
        onInput={({ currentTarget }) => setQuestion(currentTarget.value)}
      />
      <button type="submit" class="main" disabled={!model}>
        {isRunning ? t('stop') : t('ask')}
      </button>
    </form>
  );
}
