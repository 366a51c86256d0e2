/** What was said. Stays at the end while an answer grows, unless the reader has scrolled up. */
import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Icon, IconButton } from '../../icons.tsx';
import { number } from '../../language.ts';
import { isKeyAsked } from '../../secrets.ts';
import { RoutedReply } from '../experts/routed-reply.tsx';
import { ask, goOn, isRunning, retry, say } from './answering.ts';
import { growWithText, sends } from './composer.tsx';
import { change } from './keep.ts';
import { CopyButton, Markdown } from './markdown.tsx';
import { type Answer, type Chat, siblingsOf, speedOf, type Turn, withChoice } from './tree.ts';
import { t } from './words.ts';

const edited = signal('');

export function Turns({ chat, path, model }: { chat: Chat; path: Turn[]; model: string }) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const last = path.at(-1);
  // A conversation is opened, and a question asked, at the end.
  useLayoutEffect(() => {
    isAtEnd.current = true;
  }, [chat.id, path.length]);
  useLayoutEffect(() => {
    const { current } = box;
    if (current && isAtEnd.current) current.scrollTop = current.scrollHeight;
  }, [chat.id, path.length, last?.text, last?.answer?.state]);
  return (
    <div
      ref={box}
      class="turns"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the focus
      tabIndex={0}
      role="log"
      aria-live="off"
      aria-busy={path.some(isRunning)}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 48;
      }}
    >
      <ol>
        {path.map((turn) => (
          <li key={turn.id} class={turn.role}>
            <h3 class="hidden">{t(turn.role === 'user' ? 'you' : 'assistant')}</h3>
            {turn.role === 'user' ? (
              <Question chat={chat} turn={turn} model={model} />
            ) : (
              <Reply chat={chat} turn={turn} model={model} isLast={turn === last} />
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}

interface Said {
  chat: Chat;
  turn: Turn;
  model: string;
}

function Question({ chat, turn, model }: Said) {
  if (edited.value === turn.id) return <Editing chat={chat} turn={turn} model={model} />;
  return (
    <>
      <p class="bubble">{turn.text}</p>
      <div class="foot">
        <Versions chat={chat} turn={turn} />
        <CopyButton text={turn.text} />
        <IconButton
          icon="pencil"
          label={t('edit')}
          onClick={() => {
            edited.value = turn.id;
          }}
        />
      </div>
    </>
  );
}

function Editing({ chat, turn, model }: Said) {
  const [text, setText] = useState(turn.text);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  useEffect(() => growWithText(area.current), [text]);

  function leave(): void {
    edited.value = '';
  }
  function send(): void {
    if (text.trim() === '') return;
    leave();
    say(chat.id, turn.parent, text.trim(), model);
  }

  return (
    <form
      class="editing"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={area}
        rows={1}
        value={text}
        aria-label={t('edit')}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (sends(event)) {
            event.preventDefault();
            send();
          } else if (event.key === 'Escape' && !event.isComposing) {
            event.stopPropagation();
            leave();
          }
        }}
      />
      <div class="row end">
        <button type="button" class="quiet" onClick={leave}>
          {t('cancel')}
        </button>
        <button type="submit" class="main" disabled={text.trim() === ''}>
          {t('saveEdit')}
        </button>
      </div>
    </form>
  );
}

function Reply({ chat, turn, model, isLast }: Said & { isLast: boolean }) {
  const answer = turn.answer;
  const isGrowing = isRunning(turn);
  return (
    <>
      {turn.text ? (
        <Markdown text={turn.text} isGrowing={isGrowing} />
      ) : (
        isGrowing && (
          <p class="waiting">
            <span class="hidden">{t('thinking')}</span>
          </p>
        )
      )}
      <RoutedReply id={turn.id} model={answer?.model ?? model} />
      {answer?.state === 'stopped' && <p class="hint">{t('stopped')}</p>}
      {answer?.state === 'done' && answer.finish === 'length' && <p class="hint">{t('cut')}</p>}
      {answer?.state === 'failed' && <Problem answer={answer} onRetry={() => retry(chat.id, turn, model)} />}
      {!isGrowing && (turn.text || answer?.state !== 'failed') && (
        <div class="foot">
          <Versions chat={chat} turn={turn} />
          {turn.text && <CopyButton text={turn.text} />}
          <IconButton icon="retry" label={t('again')} onClick={() => ask(chat.id, turn.parent!, model)} />
          {isLast && turn.text && (answer?.state !== 'done' || answer.finish === 'length') && (
            <button type="button" class="quiet small" onClick={() => goOn(chat.id, turn, model)}>
              {t('goOn')}
            </button>
          )}
          {answer && <Facts answer={answer} />}
        </div>
      )}
    </>
  );
}

function Problem({ answer: { problem, requestId }, onRetry }: { answer: Answer; onRetry: () => void }) {
  return (
    <div class="failure" role="alert">
      <p>{t('failed', { message: problem?.message ?? '' })}</p>
      {requestId && <p class="hint mono">{requestId}</p>}
      <div class="row">
        <button type="button" onClick={onRetry}>
          <Icon name="retry" />
          {t('retry')}
        </button>
        {problem?.isKey && (
          <button
            type="button"
            onClick={() => {
              isKeyAsked.value = true;
            }}
          >
            <Icon name="key" />
            {t('enterKey')}
          </button>
        )}
      </div>
    </div>
  );
}

function Facts({ answer }: { answer: Answer }) {
  const { ttft, usage, model } = answer;
  const speed = speedOf(answer);
  return (
    <p class="facts">
      <span>{model}</span>
      {ttft !== undefined && <span>{t('ttft', { ms: number(ttft) })}</span>}
      {speed !== undefined && <span>{t('speed', { speed: number(speed, speed < 100 ? 1 : 0) })}</span>}
      {usage && (
        <span
          title={t('usageTitle', {
            prompt: usage.prompt,
            completion: usage.completion,
            cached: usage.cached,
          })}
        >
          {t('usage', { prompt: usage.prompt, completion: usage.completion })}
        </span>
      )}
    </p>
  );
}

function Versions({ chat, turn }: { chat: Chat; turn: Turn }) {
  const siblings = siblingsOf(chat, turn);
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(turn);
  const show = (sibling: Turn | undefined) =>
    sibling && change(chat.id, (before) => withChoice(before, sibling));
  return (
    <span class="versions">
      <IconButton
        icon="left"
        label={t('before')}
        disabled={at === 0}
        onClick={() => show(siblings[at - 1])}
      />
      <span>
        <span aria-hidden="true">
          {at + 1} / {siblings.length}
        </span>
        <span class="hidden">{t('version', { at: at + 1, of: siblings.length })}</span>
      </span>
      <IconButton
        icon="right"
        label={t('after')}
        disabled={at === siblings.length - 1}
        onClick={() => show(siblings[at + 1])}
      />
    </span>
  );
}
