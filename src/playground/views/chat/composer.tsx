/** Where one writes. Enter sends, except while an input method composes (then it takes a candidate) and on phones. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { IconButton } from '../../icons.tsx';
import { isKeyAsked, key } from '../../secrets.ts';
import { stop } from './answering.ts';
import { t } from './words.ts';

const isTouched = matchMedia('(pointer: coarse)');

/** Whether a key press means "send". 229: Safari's key that ends a composition comes after the composition's end. */
export function sends(event: KeyboardEvent): boolean {
  const isComposing = event.isComposing || event.keyCode === 229;
  return event.key === 'Enter' && !event.shiftKey && !isComposing && !isTouched.matches;
}

/** As high as its text, up to what the CSS allows. */
export function growWithText(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + 2}px`;
}

export function Composer({
  running,
  onSend,
}: {
  running: string | undefined;
  onSend: (text: string) => void;
}) {
  const [text, setText] = useState('');
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    // On a phone the focus would bring up the keyboard over what is there to read.
    if (!isTouched.matches && !isKeyAsked.value) area.current?.focus();
  }, []);
  useEffect(() => growWithText(area.current), [text]);

  function send(): void {
    if (running || text.trim() === '') return;
    if (!key.value.value) {
      isKeyAsked.value = true;
      return;
    }
    onSend(text.trim());
    setText('');
  }

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class="writing card">
        <textarea
          ref={area}
          rows={1}
          value={text}
          aria-label={t('ask')}
          placeholder={t('asking')}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (!sends(event)) return;
            event.preventDefault();
            send();
          }}
        />
        {running ? (
          <IconButton icon="stop" label={t('stop')} look="main round" onClick={() => stop(running)} />
        ) : (
          <IconButton
            icon="send"
            label={t('send')}
            look="main round"
            type="submit"
            disabled={text.trim() === ''}
          />
        )}
      </div>
      <p class="hint shortcuts">{t('keys')}</p>
    </form>
  );
}
