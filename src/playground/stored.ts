/**
 * What the page keeps in the browser, as signals. localStorage, or sessionStorage for what must go with the tab.
 * Browsers may refuse storage (private windows, full disks): then the value lives as long as the page.
 */
import { effect, type Signal, signal } from '@preact/signals';

/** @param isValid what is stored may be of an older version, or somebody's own */
export function stored<T>(name: string, initial: T, isValid: (value: unknown) => boolean): Signal<T> {
  let first = initial;
  const text = readItem(localStorage, name);
  if (text !== null) {
    try {
      const value: unknown = JSON.parse(text);
      if (isValid(value)) first = value as T;
    } catch {
      // Not ours: the initial value stands.
    }
  }
  const value = signal(first);
  effect(() => {
    writeItem(localStorage, name, JSON.stringify(value.value));
  });
  return value;
}

export const oneOf =
  (...values: unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);

export function readItem(storage: Storage, name: string): string | null {
  try {
    return storage.getItem(name);
  } catch {
    return null;
  }
}

/** @returns whether it is kept */
export function writeItem(storage: Storage, name: string, text: string | null): boolean {
  try {
    if (text === null) storage.removeItem(name);
    else storage.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}
