import { tokenAttribute, type Vocabulary } from '../native/model.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const none = new Uint8Array(0);
/** Plain text: what a user can type. Everything else is control, unknown, unused or user-defined. */
const plain = tokenAttribute.normal | tokenAttribute.byte;
const silent = tokenAttribute.control | tokenAttribute.unknown | tokenAttribute.unused;

/** The text of each token, made once at load so that the per-token path only looks them up. */
export class TokenPieces {
  readonly #bytes: Uint8Array[] = [];
  /** undefined where the bytes are no whole characters by themselves. */
  readonly #texts: (string | undefined)[] = [];
  readonly #plain: Uint8Array;
  readonly #names: readonly string[];
  /** Token of each byte value, -1 where there is none. */
  readonly byteTokens = new Int32Array(256).fill(-1);

  /** @param control tokens that are no text, whatever type the file's converter gave them */
  constructor({ texts, attributes }: Vocabulary, control: readonly number[]) {
    this.#plain = new Uint8Array(texts.length);
    this.#names = texts;
    for (const [id, text] of texts.entries()) {
      const attribute = control.includes(id) ? tokenAttribute.control : (attributes[id] ?? 0);
      const isByte = (attribute & tokenAttribute.byte) !== 0;
      if (isByte) this.byteTokens[Number.parseInt(text.slice(3, 5), 16)] = id;
      const bytes = (attribute & silent) !== 0 ? none : isByte ? byteOf(text) : Buffer.from(spaced(text));
      this.#bytes.push(bytes);
      this.#texts.push(decode(bytes));
      this.#plain[id] = (attribute & plain) !== 0 ? 1 : 0;
    }
  }

  /** What the token adds to the text. Empty for control tokens. */
  bytes(id: number): Uint8Array {
    return this.#bytes[id] ?? none;
  }

  text(id: number): string | undefined {
    return this.#texts[id];
  }

  /** How a token is named to people: by its text, its bytes, or what the file calls it. */
  label(id: number): string {
    const bytes = this.bytes(id);
    if (bytes.length === 0) return this.#names[id] ?? '';
    return (
      this.text(id) ??
      `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
    );
  }

  /** Whether text that a user typed may become this token. */
  isPlain(id: number): boolean {
    return this.#plain[id] === 1;
  }
}

function byteOf(text: string): Uint8Array {
  return Uint8Array.of(Number.parseInt(text.slice(3, 5), 16));
}

function spaced(text: string): string {
  return text.replaceAll('▁', ' ');
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
