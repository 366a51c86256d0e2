/**
 * The client's key and the operator's token. Kept for the tab alone unless the person asks to be remembered here.
 * A link may bring one behind `#`, which no server sees; it is taken out of the address bar before anything else runs.
 */
import { type Signal, signal } from '@preact/signals';
import { readItem, writeItem } from './stored.ts';

/** '' while there is none. */
export interface Secret {
  value: Signal<string>;
  /** Whether it outlives the tab. */
  isRemembered(): boolean;
  set(value: string, remember: boolean): void;
}

function secret(name: string): Secret {
  const item = `huozi.${name}`;
  const value = signal(readItem(sessionStorage, item) ?? readItem(localStorage, item) ?? '');
  return {
    value,
    isRemembered: () => readItem(localStorage, item) !== null,
    set(text, remember) {
      const clean = text.trim();
      value.value = clean;
      writeItem(localStorage, item, remember && clean ? clean : null);
      writeItem(sessionStorage, item, clean || null);
    },
  };
}

/** Opens /v1. */
export const key = secret('key');
/** Opens /admin. */
export const adminToken = secret('admin');

/** `#key=hz_…`, `#admin=…`, `#/experts?key=…`: what a printed link carries. Removed from the address at once. */
function takeSecretsFromAddress(): void {
  const { hash, pathname, search } = location;
  const [, route = '', pairs] = /^#(\/\w*)?\??(.*)$/s.exec(hash) ?? [];
  const given = new URLSearchParams(pairs);
  const found = { key: given.get('key'), admin: given.get('admin') };
  if (found.key === null && found.admin === null) return;
  history.replaceState(null, '', `${pathname}${search}${route ? `#${route}` : ''}`);
  if (found.key) key.set(found.key, key.isRemembered());
  if (found.admin) adminToken.set(found.admin, adminToken.isRemembered());
}

// Here, and not in main.tsx: whoever imports a key finds it taken.
takeSecretsFromAddress();
// A link pasted into a page that is open changes the address and loads nothing.
addEventListener('hashchange', takeSecretsFromAddress);

/** Whether the dialog is open that asks for the key; views open it when the edge refuses one. */
export const isKeyAsked = signal(key.value.value === '' && !location.hash.startsWith('#/operator'));
