/** Asks a question, and shows the answer's tokens or those of an answer before. */
import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { huozi, problemOf } from '../../api.ts';
import type { Shape } from './decode-routes.ts';
import { RoutedTokens } from './routed-tokens.tsx';
import { chosen, recordRoutes, routedAnswers } from './routes.ts';
import { t } from './words.ts';

const failure = signal('');
const running = signal<AbortController | undefined>(undefined);

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
            {answers.map(({ id, question }, at) => (
              <option key={id} value={id}>
                {answers.length - at}. {question}
              </option>
            ))}
          </select>
        </label>
      )}
      {answer && shape ? (
        <>
          <p class="hint question">{answer.question}</p>
          <RoutedTokens answer={answer} shape={shape} />
        </>
      ) : (
        <p class="hint">{t('noAnswer')}</p>
      )}
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
