/** Light and dark: the system's, unless the person chose. The colours are custom properties in style.css. */
import { effect, signal } from '@preact/signals';
import { oneOf, stored } from './stored.ts';

export type Theme = 'light' | 'dark';

const preferred = matchMedia('(prefers-color-scheme: dark)');
const system = signal<Theme>(preferred.matches ? 'dark' : 'light');
preferred.addEventListener('change', ({ matches }) => {
  system.value = matches ? 'dark' : 'light';
});

/** null: the system's. */
const chosen = stored<Theme | null>('huozi.theme', null, oneOf('light', 'dark', null));

export const theme = () => chosen.value ?? system.value;

export function toggleTheme(): void {
  chosen.value = theme() === 'dark' ? 'light' : 'dark';
}

effect(() => {
  document.documentElement.dataset.theme = theme();
});
