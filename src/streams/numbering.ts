/**
 * The events of an answer that can be resumed: each with a number of its own, in the place of what only the edge needs
 * of a node's events. Those ids are collected, because whoever goes on after a restart needs them.
 */
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const idsMark = ': ids ';

export class Numbering {
  /** Number of the last event. */
  last: number;
  /** Token ids of the events since they were last taken. */
  ids: number[] = [];
  /** Of the whole answer. */
  idCount: number;
  /** A comment, which stands in the event after it: so events can be counted by their blank lines. */
  #comment = '';

  constructor(last = 0, idCount = 0) {
    this.last = last;
    this.idCount = idCount;
  }

  /** @param events whole ones of a node, or of the edge. Gives them numbered; perhaps none. */
  number(events: Uint8Array): Uint8Array {
    let numbered = '';
    let body = '';
    for (const line of decoder.decode(events).split('\n')) {
      if (line.startsWith('data: ') || line.startsWith('event: ')) body += `${line}\n`;
      else if (line.startsWith(idsMark)) this.#read(line);
      else if (line === ': migrated') this.#comment = `${line}\n`;
      else if (line === '' && body !== '') {
        numbered += `${this.#comment}id: ${++this.last}\n${body}\n`;
        body = '';
        this.#comment = '';
      }
    }
    return encoder.encode(numbered);
  }

  /** The ids since the last time. */
  take(): number[] {
    const { ids } = this;
    this.ids = [];
    return ids;
  }

  #read(line: string): void {
    for (const id of line.slice(idsMark.length).split(',')) {
      this.ids.push(Number(id));
      this.idCount++;
    }
  }
}

/** Numbered events without the first `count`. */
export function skipEvents(bytes: Uint8Array, count: number): Uint8Array {
  let at = 0;
  for (let skipped = 0; skipped < count; skipped++) {
    do at = bytes.indexOf(0x0a, at) + 1;
    while (at > 0 && bytes[at] !== 0x0a);
    if (at === 0) return new Uint8Array();
    at++;
  }
  return at === 0 ? bytes : bytes.subarray(at);
}
