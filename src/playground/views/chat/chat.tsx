/** The chat: conversations beside, turns above, the question below. */
import { computed, effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { huozi } from '../../api.ts';
import { IconButton } from '../../icons.tsx';
import { language } from '../../language.ts';
import { key } from '../../secrets.ts';
import { say, stop, takeUp, told } from './answering.ts';
import './chat.css';
import { Chats, isListShown } from './chats.tsx';
import { Composer } from './composer.tsx';
import { chats, current, isFull, openNew } from './keep.ts';
import { settings } from './sampling.ts';
import { SettingsDialog } from './settings-dialog.tsx';
import { pathOf, titleOf } from './tree.ts';
import { Turns } from './turns.tsx';
import { suggestions, t } from './words.ts';

/** What the edge offers to this key; undefined until it has said so. */
const models = signal<string[] | undefined>();

// Asked again with each key.
effect(() => {
  if (!key.value.value) {
    models.value = undefined;
    return;
  }
  // What was under way when the page was left; a tab of its own has no key until one is given.
  for (const chat of chats.peek()) takeUp(chat);
  huozi.models.list().then(
    ({ data }) => {
      models.value = data.map(({ id }) => id);
    },
    () => {
      models.value = [];
    },
  );
});

/** The chosen one as long as it is there, else the first. */
const model = computed(() => {
  const chosen = settings.value.model;
  const offered = models.value ?? [];
  return (chosen && (offered.length === 0 || offered.includes(chosen)) ? chosen : offered[0]) ?? 'huozi';
});

const areSettingsShown = signal(false);

export function Chat() {
  const chat = current.value;
  const path = pathOf(chat);
  const runningTurn = path.find(({ answer }) => answer?.state === 'running');
  useEffect(() => {
    function onEscape(event: KeyboardEvent): void {
      if (event.key !== 'Escape' || event.isComposing || document.querySelector('dialog[open]')) return;
      if (isListShown.value) isListShown.value = false;
      else if (runningTurn) stop(runningTurn.id);
    }
    document.addEventListener('keydown', onEscape);
    return () => document.removeEventListener('keydown', onEscape);
  }, [runningTurn?.id]);

  return (
    <div class="chat-layout">
      <Chats />
      <section class="talk" aria-label={titleOf(chat) || t('newChat')}>
        <header class="talk-bar">
          <IconButton
            icon="menu"
            label={t('openChats')}
            look="quiet square narrow-only"
            onClick={() => {
              isListShown.value = true;
            }}
          />
          <h2>{titleOf(chat) || t('newChat')}</h2>
          <select
            class="models"
            aria-label={t('model')}
            value={model.value}
            disabled={!models.value?.length}
            onChange={(event) => {
              settings.value = { ...settings.value, model: event.currentTarget.value };
            }}
          >
            {models.value?.length ? (
              models.value.map((id) => (
                <option key={id} value={id}>
                  {id}
                </option>
              ))
            ) : (
              <option value={model.value}>{models.value ? t('noModels') : model.value}</option>
            )}
          </select>
          <IconButton
            icon="sliders"
            label={t('settings')}
            look="quiet square"
            onClick={() => {
              areSettingsShown.value = true;
            }}
          />
          <IconButton icon="plus" label={t('newChat')} look="quiet square narrow-only" onClick={openNew} />
        </header>
        {isFull.value && (
          <p class="notice" role="alert">
            {t('full')}
          </p>
        )}
        {path.length > 0 ? (
          <Turns chat={chat} path={path} model={model.value} />
        ) : (
          <div class="greeting">
            <p class="hello">{t('greeting')}</p>
            <p class="hint">{key.value.value ? t('hint') : t('noKey')}</p>
            {key.value.value && (
              <div class="suggestions">
                {suggestions[language.value].map((text) => (
                  <button key={text} type="button" onClick={() => say(chat.id, null, text, model.value)}>
                    {text}
                  </button>
                ))}
              </div>
            )}
          </div>
        )}
        <Composer
          key={chat.id}
          running={runningTurn?.id}
          onSend={(text) => say(chat.id, path.at(-1)?.id ?? null, text, model.value)}
        />
        <Told />
      </section>
      {areSettingsShown.value && <SettingsDialog onClose={() => (areSettingsShown.value = false)} />}
    </div>
  );
}

/** For those who hear the page: that an answer begins, and all of a short one when it has ended. */
function Told() {
  const { kind, text } = told.value ?? { kind: undefined, text: '' };
  const short = [...text].length > 400 ? `${[...text].slice(0, 400).join('')}…` : text;
  return (
    <p class="hidden" role="status" aria-live="polite">
      {kind && t(kind, { text: short, message: short })}
    </p>
  );
}
