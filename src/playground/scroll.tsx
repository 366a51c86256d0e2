import type { ComponentChildren } from 'preact';

/** Around what may be wider than the page, or taller than its place. */
export function Scroll({ label, class: more, children }: ScrollProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no pointer scrolls with the arrow keys
    <section class={more ? `scroll ${more}` : 'scroll'} tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}

interface ScrollProps {
  label: string;
  class?: string;
  children: ComponentChildren;
}
