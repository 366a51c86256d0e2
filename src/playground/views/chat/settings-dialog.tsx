/** System message, sampling, further fields. What is left empty is the edge's default. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { change, current } from './keep.ts';
import { initialSettings, parseExtra, type SamplingField, samplingFields, settings } from './sampling.ts';
import { t } from './words.ts';

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const { sampling } = settings.value;
  const [extra, setExtra] = useState(settings.value.extra);
  const isExtraWrong = parseExtra(extra) === undefined;
  const chat = current.value;

  function set(name: SamplingField, text: string): void {
    const { [name]: _, ...rest } = sampling;
    const value = text === '' ? Number.NaN : Number(text);
    settings.value = {
      ...settings.value,
      sampling: Number.isFinite(value) ? { ...rest, [name]: value } : rest,
    };
  }

  return (
    <dialog ref={dialog} class="card settings" aria-labelledby="settings-title" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isExtraWrong) onClose();
        }}
      >
        <h2 id="settings-title">{t('settings')}</h2>
        <label class="field">
          <span>
            {t('system')} · {t('systemHint')}
          </span>
          <textarea
            rows={3}
            value={chat.system}
            placeholder={t('systemExample')}
            onInput={(event) => {
              const system = event.currentTarget.value;
              change(chat.id, (before) => ({ ...before, system }));
            }}
          />
        </label>
        <fieldset>
          <legend>{t('sampling')}</legend>
          <div class="sampling">
            {samplingFields.map(({ name, min, max, step, usual }) => (
              <label key={name} class="field">
                <span>{t(name)}</span>
                <input
                  name={name}
                  type="number"
                  inputMode="decimal"
                  min={min}
                  max={max}
                  step={step}
                  value={sampling[name] ?? ''}
                  placeholder={usual ? `${t('default')} ${usual}` : t('default')}
                  onInput={(event) => set(name, event.currentTarget.value)}
                />
              </label>
            ))}
          </div>
        </fieldset>
        <label class="field">
          <span>{t('extra')}</span>
          <textarea
            name="extra"
            rows={2}
            class="mono"
            spellcheck={false}
            value={extra}
            aria-invalid={isExtraWrong}
            aria-describedby="extra-hint"
            onInput={(event) => {
              const text = event.currentTarget.value;
              setExtra(text);
              if (parseExtra(text)) settings.value = { ...settings.value, extra: text };
            }}
          />
          <span id="extra-hint" class={isExtraWrong ? 'wrong' : undefined}>
            {isExtraWrong ? t('extraWrong') : t('extraHint')}
          </span>
        </label>
        <div class="row end">
          <button
            type="button"
            class="quiet"
            onClick={() => {
              settings.value = { ...initialSettings, model: settings.value.model };
              setExtra('');
            }}
          >
            {t('reset')}
          </button>
          <button type="submit" class="main" disabled={isExtraWrong}>
            {t('done')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
