/** Prompts for engines that take a string: what was typed in it cannot become a control token. */
import type { Segment } from '../protocol.ts';
import { huoziLiterals, huoziMarkers, neutraliser, stringPrompt } from '../string-prompt.ts';
import type { KnownModel } from './vocabulary.ts';

const { neutralise } = neutraliser(huoziLiterals);
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** Texts that end an answer; an engine that hides its control tokens must be told to stop at them. */
export const endTexts: readonly string[] = [huoziMarkers.end, huoziMarkers.begin, '</s>'];

/**
 * The prompt that these ids are, without BOS, which such engines put in front by themselves.
 * @param ids as `KnownModel.tokenize` makes them
 */
export function promptText(ids: Iterable<number>, { tokens, pieces, tokenize }: KnownModel): string {
  const names = new Map<number, 'bos' | 'begin' | 'end'>([
    [tokens.bos, 'bos'],
    [tokens.begin, 'begin'],
    [tokens.end, 'end'],
  ]);
  // Each stretch of text begins with the space that SentencePiece puts there.
  const [first = -1] = tokenize([{ text: 'a' }]);
  const prefix = utf8.decode(pieces.bytes(first)).startsWith(' ') ? 1 : 0;
  const segments: Segment[] = [];
  let bytes: Uint8Array[] = [];
  const flush = () => {
    if (bytes.length > 0) segments.push({ text: utf8.decode(Buffer.concat(bytes)).slice(prefix) });
    bytes = [];
  };
  for (const id of ids) {
    const control = names.get(id);
    if (!control) {
      bytes.push(pieces.bytes(id));
      continue;
    }
    flush();
    segments.push({ control });
  }
  flush();
  return stringPrompt(segments, { ...huoziMarkers, bos: undefined }, neutralise);
}
