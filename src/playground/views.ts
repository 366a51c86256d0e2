/**
 * The page's views. One is a component with its own strings (see language.ts) and, imported by itself, its own CSS; it
 * is drawn only while it is shown. `#/id` in the address shows it.
 */
import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { Chat } from './views/chat/chat.tsx';
import { Experts } from './views/experts/experts.tsx';
import { Operator } from './views/operator/operator.tsx';

export interface View {
  id: 'chat' | 'experts' | 'operator';
  component: ComponentType;
}

export const views: readonly View[] = [
  { id: 'chat', component: Chat },
  { id: 'experts', component: Experts },
  { id: 'operator', component: Operator },
];

const viewOf = (hash: string): View => views.find(({ id }) => hash === `#/${id}`) ?? views[0]!;

export const shown = signal<View>(viewOf(location.hash));

addEventListener('hashchange', () => {
  shown.value = viewOf(location.hash);
});
