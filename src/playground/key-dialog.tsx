/** Asks for the client's key. A native dialog: focus stays inside, Escape closes it. */
import { useEffect, useRef } from 'preact/hooks';
import { strings } from './language.ts';
import { key } from './secrets.ts';

const t = strings({
  zh: {
    title: 'API 密钥',
    why: '密钥只保存在此浏览器中，并且只发送给本站。',
    key: '密钥',
    remember: '关闭标签页后仍记住',
    save: '保存',
    forget: '忘记密钥',
    cancel: '取消',
  },
  en: {
    title: 'API key',
    why: 'It stays in this browser and is sent to this site alone.',
    key: 'Key',
    remember: 'Remember it after this tab is closed',
    save: 'Save',
    forget: 'Forget the key',
    cancel: 'Cancel',
  },
});

export function KeyDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);

  function save(event: SubmitEvent): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    key.set(String(form.get('key')), form.has('remember'));
    onClose();
  }

  function forget(): void {
    key.set('', false);
    onClose();
  }

  return (
    <dialog ref={dialog} class="card" aria-labelledby="key-title" onClose={onClose}>
      <form onSubmit={save}>
        <h2 id="key-title">{t('title')}</h2>
        <p class="hint">{t('why')}</p>
        <label class="field">
          <span>{t('key')}</span>
          <input
            name="key"
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="hz_…"
            required
            defaultValue={key.value.value}
          />
        </label>
        <label class="tick">
          <input name="remember" type="checkbox" defaultChecked={key.isRemembered()} />
          <span>{t('remember')}</span>
        </label>
        <div class="row end">
          {key.value.value && (
            <button type="button" class="quiet danger" onClick={forget}>
              {t('forget')}
            </button>
          )}
          <button type="button" class="quiet" onClick={onClose}>
            {t('cancel')}
          </button>
          <button type="submit" class="main">
            {t('save')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
