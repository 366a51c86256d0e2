/**
 * An answer as its tokens. One tab stop, arrows move, a tap or a click chooses, and
 * the mouse shows what it is over: a list box.
 */
import { useEffect, useRef } from 'preact/hooks';
import type { RoutedToken } from './decode-routes.ts';
import { t } from './words.ts';

interface TokenListProps {
  /** Of the answer: tokens are named after it. */
  id: string;
  tokens: readonly RoutedToken[];
  /** −1: none. */
  chosen: number;
  onChoose: (at: number) => void;
  /** Where the mouse is; undefined: on none. */
  onPoint: (at: number | undefined) => void;
}

const steps: Record<string, (at: number, last: number) => number> = {
  ArrowRight: (at, last) => Math.min(last, at + 1),
  ArrowDown: (at, last) => Math.min(last, at + 1),
  ArrowLeft: (at) => Math.max(0, at - 1),
  ArrowUp: (at) => Math.max(0, at - 1),
  Home: () => 0,
  End: (_at, last) => last,
};

export function TokenList({ id, tokens, chosen, onChoose, onPoint }: TokenListProps) {
  const list = useRef<HTMLDivElement>(null);

  function move(event: KeyboardEvent): void {
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = step(chosen, tokens.length - 1);
    onChoose(next);
    list.current?.children[next]?.scrollIntoView({ block: 'nearest' });
  }

  // What was under the mouse when the list went is not any more.
  useEffect(() => () => onPoint(undefined), []);

  function choose(event: Event): void {
    const at = tokenOf(event);
    if (at !== undefined) onChoose(at);
  }

  function point(event: PointerEvent): void {
    // A finger's pointer comes and goes with the tap, which is a click already.
    if (event.pointerType === 'mouse') onPoint(tokenOf(event));
  }

  return (
    <div
      ref={list}
      class="tokens"
      role="listbox"
      tabIndex={0}
      aria-label={t('tokensOf')}
      aria-activedescendant={chosen < 0 ? undefined : `token-${id}-${chosen}`}
      onKeyDown={move}
      onClick={choose}
      onPointerOver={point}
      onPointerLeave={() => onPoint(undefined)}
      onFocus={() => chosen < 0 && tokens.length > 0 && onChoose(0)}
    >
      {tokens.map((token, at) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus and names its active option
        <span
          key={at}
          id={`token-${id}-${at}`}
          role="option"
          data-at={at}
          aria-selected={at === chosen}
          class={token.text === '' ? 'token mute' : 'token'}
        >
          {wordOf(token, at === tokens.length - 1)}
          {token.text.includes('\n') && <br />}
        </span>
      ))}
    </div>
  );
}

function tokenOf({ target }: Event): number | undefined {
  const at = (target as Element).closest('[role="option"]')?.getAttribute('data-at');
  return at ? Number(at) : undefined;
}

/** As it is shown: every token has something to point at. */
export function wordOf({ text }: RoutedToken, isLast: boolean): string {
  if (text === '') return isLast ? t('end') : t('part');
  return text.replaceAll('\n', '↵');
}
