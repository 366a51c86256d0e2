/** Chinese and English. Each view brings its own table; a missing word is a type error, not a gap on the screen. */
import { computed } from '@preact/signals';
import { oneOf, stored } from './stored.ts';

export type Language = 'zh' | 'en';

/** null: the browser's. */
const chosen = stored<Language | null>('huozi.language', null, oneOf('zh', 'en', null));

export const language = computed<Language>(
  () => chosen.value ?? (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'),
);

export function setLanguage(value: Language): void {
  chosen.value = value;
}

/**
 * A function that gives a word in the language of the page; a component that calls it is drawn anew on a change.
 *
 * @example
 * const t = strings({ zh: { nodes: '{count} 个节点' }, en: { nodes: '{count} nodes' } });
 * t('nodes', { count: 3 });
 */
export function strings<Name extends string>(table: Record<Language, Record<Name, string>>) {
  return (name: Name, values?: Record<string, string | number>): string => {
    const text = table[language.value][name];
    return values ? text.replace(/\{(\w+)\}/g, (all, value) => String(values[value] ?? all)) : text;
  };
}

/** As the language writes numbers. */
export function number(value: number, digits = 0): string {
  return value.toLocaleString(language.value, { maximumFractionDigits: digits });
}
