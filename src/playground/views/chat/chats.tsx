/** The list of conversations: beside the chat, or over it on a phone. */
import { signal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { Icon, IconButton } from '../../icons.tsx';
import { change, chats, current, open, openNew, remove } from './keep.ts';
import { type Chat, titleOf } from './tree.ts';
import { t } from './words.ts';

/** Of phones: elsewhere it always is. */
export const isListShown = signal(false);

const renamed = signal('');
const undo = signal<{ title: string; back: () => void } | undefined>();

export function Chats() {
  const list = chats.value;
  return (
    <>
      {isListShown.value && (
        <button
          type="button"
          class="veil"
          aria-label={t('closeChats')}
          onClick={() => {
            isListShown.value = false;
          }}
        />
      )}
      <aside class={`chats ${isListShown.value ? 'open' : ''}`} aria-label={t('chats')}>
        <button type="button" class="wide-button" onClick={leaving(openNew)}>
          <Icon name="plus" />
          {t('newChat')}
        </button>
        {list.length === 0 && <p class="hint">{t('noChats')}</p>}
        <ul>
          {list.map((chat) => (
            <Item key={chat.id} chat={chat} />
          ))}
        </ul>
        {undo.value && (
          <div class="undo" role="status">
            <span>{t('removed', { title: undo.value.title })}</span>
            <button
              type="button"
              class="quiet"
              onClick={() => {
                undo.value?.back();
                undo.value = undefined;
              }}
            >
              {t('undo')}
            </button>
          </div>
        )}
        <footer>
          {list.length > 0 && (
            <button type="button" class="quiet" onClick={() => download(list, 'huozi-chats.json')}>
              <Icon name="download" />
              {t('exportAll')}
            </button>
          )}
          <p class="hint">{t('keptHere')}</p>
        </footer>
      </aside>
    </>
  );
}

/** The list goes away with the choice, on phones. */
const leaving = (choose: () => void) => () => {
  choose();
  isListShown.value = false;
};

function Item({ chat }: { chat: Chat }) {
  const isCurrent = chat.id === current.value.id;
  const title = titleOf(chat) || t('newChat');
  if (renamed.value === chat.id) return <Renaming chat={chat} />;
  return (
    <li class={isCurrent ? 'current' : undefined}>
      <button
        type="button"
        class="quiet name"
        aria-current={isCurrent ? 'true' : undefined}
        onClick={leaving(() => open(chat.id))}
      >
        <span>{title}</span>
      </button>
      <span class="actions">
        <IconButton
          icon="pencil"
          label={`${t('rename')}: ${title}`}
          hint={t('rename')}
          onClick={() => {
            renamed.value = chat.id;
          }}
        />
        <IconButton
          icon="download"
          label={`${t('exportOne')}: ${title}`}
          hint={t('exportOne')}
          onClick={() => download(chat, `huozi-${chat.id.slice(0, 8)}.json`)}
        />
        <IconButton
          icon="trash"
          label={`${t('remove')}: ${title}`}
          hint={t('remove')}
          onClick={() => {
            undo.value = { title, back: remove(chat.id) };
          }}
        />
      </span>
    </li>
  );
}

function Renaming({ chat }: { chat: Chat }) {
  const input = useRef<HTMLInputElement>(null);
  function end(isKept: boolean): void {
    if (renamed.value !== chat.id) return;
    renamed.value = '';
    const title = input.current?.value.trim() ?? '';
    if (isKept && title) change(chat.id, (before) => ({ ...before, title }));
  }
  return (
    <li>
      <input
        ref={(element) => {
          input.current = element;
          element?.focus();
        }}
        aria-label={t('title')}
        defaultValue={titleOf(chat)}
        maxLength={200}
        onBlur={() => end(true)}
        onKeyDown={(event) => {
          if (event.isComposing || event.keyCode === 229) return;
          if (event.key === 'Enter') end(true);
          if (event.key === 'Escape') {
            event.stopPropagation();
            end(false);
          }
        }}
      />
    </li>
  );
}

function download(what: unknown, name: string): void {
  const address = URL.createObjectURL(
    new Blob([JSON.stringify(what, null, 2)], { type: 'application/json' }),
  );
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The browser has taken it by then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
