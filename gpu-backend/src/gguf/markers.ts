/** Huozi's two turn markers and the other control tokens, as a file's vocabulary has them. */
import { huoziMarkers } from '../string-prompt.ts';
import type { GgufHeader } from './header.ts';

/** `enum llama_token_type`. */
const tokenTypes: Readonly<Record<number, string>> = {
  1: 'normal',
  2: 'unknown',
  3: 'control',
  4: 'user-defined',
  5: 'unused',
  6: 'byte',
};

export interface Token {
  text: string;
  id: number;
  type: string;
}

export const markerTexts = [huoziMarkers.begin, huoziMarkers.end] as const;

/** A marker that the vocabulary lacks is undefined. */
export function findMarkers(header: GgufHeader): (Token | undefined)[] {
  const { texts, types } = vocabulary(header);
  return markerTexts.map((text) => token(texts.indexOf(text), texts, types));
}

/** unk, bos and eos, where the file names them. */
export function namedTokens(header: GgufHeader): Map<string, Token> {
  const { texts, types } = vocabulary(header);
  const found = new Map<string, Token>();
  for (const name of ['bos', 'eos', 'unknown', 'padding']) {
    const id = header.metadata.get(`tokenizer.ggml.${name}_token_id`);
    const named = typeof id === 'number' ? token(id, texts, types) : undefined;
    if (named) found.set(name, named);
  }
  return found;
}

function vocabulary({ metadata }: GgufHeader) {
  const list = (key: string) => {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    return Array.isArray(value) ? value : [];
  };
  return { texts: list('tokens') as string[], types: list('token_type') as number[] };
}

function token(id: number, texts: readonly string[], types: readonly number[]): Token | undefined {
  const text = texts[id];
  if (text === undefined) return undefined;
  return { text, id, type: tokenTypes[types[id] ?? 1] ?? 'unknown' };
}
