/**
 * Markdown as a tree, while it is being written. marked's lexer alone is used: nothing here makes markup, and what the
 * model writes as HTML stays a token of text. Only the block that is still growing is read again, so an answer costs
 * its length and not its square; blocks that are settled are the same objects each time, so that nothing redraws them.
 */
import { lexer, type Token } from 'marked';

const options = { gfm: true, breaks: true } as const;

/** @returns the text as one paragraph where the parser cannot (it recurses, and quotes nest as deep as one likes) */
export function parseMarkdown(text: string): Token[] {
  try {
    return lexer(text, options);
  } catch {
    return [plain(text)];
  }
}

const plain = (text: string): Token => ({ type: 'text', raw: text, text });

/** Some blocks take the square of their length to read, each frame anew; a longer one is text until it has ended. */
const longestGrowing = 20_000;

export class GrowingMarkdown {
  #text = '';
  #settled: Token[] = [];
  #settledLength = 0;

  /** @param text the whole of it so far; one that does not go on with the last one begins anew */
  read(text: string): Token[] {
    // marked drops carriage returns itself, after which its lengths are no longer those of the text.
    const clean = text.replaceAll('\r', '');
    if (!clean.startsWith(this.#text)) {
      this.#settled = [];
      this.#settledLength = 0;
    }
    this.#text = clean;
    const growing = clean.slice(this.#settledLength);
    const open = growing.length > longestGrowing ? [plain(growing)] : parseMarkdown(growing);
    const last = open.findLastIndex(({ type }) => type !== 'space');
    for (const token of open.slice(0, Math.max(0, last))) {
      // A parser that tells another text than it was given (tabs, say) gets it whole again.
      if (!clean.startsWith(token.raw, this.#settledLength)) return [...this.#settled, ...open];
      this.#settled.push(token);
      this.#settledLength += token.raw.length;
      open.shift();
    }
    return [...this.#settled, ...open];
  }
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

/** The few entities that models write; any other stays as it stands. */
export function withoutEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,6}));/gi, (all, decimal, hex, name) => {
    if (name) return entities[name] ?? all;
    const point = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)
      ? String.fromCodePoint(point)
      : '\ufffd';
  });
}

/** @returns the address if a click on it can do no harm here */
export function safeAddress(address: string): string | undefined {
  return /^(https?:\/\/|mailto:)/i.test(address) && URL.canParse(address) ? address : undefined;
}
