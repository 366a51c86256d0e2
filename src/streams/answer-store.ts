/** One answer in its object's SQLite. Nothing is written for what was only asked for. See ../STORAGE.md. */
import type { Production } from '../kept.ts';
import type { Trace } from '../trace.ts';
import type { AnswerStatus } from './stream-api.ts';
import type { Piece } from './told-log.ts';

export interface Stored {
  status: AnswerStatus;
  hash: string;
  resumable: boolean;
  /** Of a response in the background: whether whoever asked for it reads its events. */
  background?: 'streamed' | 'polled';
  /** Of the response. */
  contentType: string;
  /** Of whoever began it: what it takes to go on. */
  origin: { requestId: string; keyId: string; trace: Trace; startedAt: number };
  /** While it runs, and only if it is to go on after a restart. */
  production: Production | undefined;
  /** Milliseconds since 1970; undefined while it runs. */
  forgetAt: number | undefined;
}

/** An object of Cloudflare's takes 2 MB a value. */
const longestPiece = 1024 * 1024;

/**
 * Not `storage.kv`: of each object that has touched it workerd 1.20260426 keeps some 190 bytes of V8's heap for ever
 * (1.20261117 does not), and these come and go by the thousand.
 */
const tables = `
  CREATE TABLE IF NOT EXISTS answer (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS told (last INTEGER PRIMARY KEY, first INTEGER NOT NULL, bytes BLOB NOT NULL, ids TEXT NOT NULL);
`;

export class AnswerStore {
  readonly #storage: DurableObjectStorage;
  #forgotten = false;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  read(): Stored | undefined {
    const { sql } = this.#storage;
    // What was only asked for has no tables, and gets none.
    const [table] = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'answer'");
    const [row] = table ? sql.exec<{ json: string }>('SELECT json FROM answer') : [];
    return row && (JSON.parse(row.json) as Stored);
  }

  begin(stored: Stored): void {
    this.#forgotten = false;
    this.#storage.sql.exec(tables);
    this.write(stored);
  }

  write(stored: Stored): void {
    this.#storage.sql.exec('INSERT OR REPLACE INTO answer VALUES (1, ?)', JSON.stringify(stored));
  }

  append({ first, last, bytes }: Piece, ids: readonly number[] = []): void {
    this.#storage.sql.exec('INSERT INTO told VALUES (?, ?, ?, ?)', last, first, bytes, ids.join());
  }

  /** Without numbers of their own, so that they can be put together. */
  appendAll(pieces: readonly Piece[]): void {
    let number = 0;
    let together: Uint8Array[] = [];
    let size = 0;
    const put = () => {
      number++;
      const bytes = new Uint8Array(size);
      let at = 0;
      for (const one of together) {
        bytes.set(one, at);
        at += one.length;
      }
      this.append({ first: number, last: number, bytes });
      together = [];
      size = 0;
    };
    for (const { bytes } of pieces) {
      for (let at = 0; at < bytes.length; at += longestPiece) {
        const part = bytes.subarray(at, at + longestPiece);
        if (size + part.length > longestPiece) put();
        together.push(part);
        size += part.length;
      }
    }
    if (size > 0) put();
  }

  /** The piece that holds event `n + 1`. */
  after(n: number): Piece | undefined {
    // Whoever still reads then has come to its end.
    if (this.#forgotten) return undefined;
    return this.#pieces('WHERE last > ? ORDER BY last LIMIT 1', n);
  }

  get lastPiece(): Piece | undefined {
    return this.#pieces('ORDER BY last DESC LIMIT 1');
  }

  /** All events so far. */
  events(): string {
    const rows = this.#storage.sql.exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM told ORDER BY last');
    return [...rows].map(({ bytes }) => new TextDecoder().decode(bytes)).join('');
  }

  /** Token ids of the answer so far. */
  ids(): number[] {
    const rows = this.#storage.sql.exec<{ ids: string }>('SELECT ids FROM told ORDER BY last');
    return [...rows].flatMap(({ ids }) => (ids === '' ? [] : ids.split(',').map(Number)));
  }

  synced(): Promise<void> {
    return this.#storage.sync();
  }

  wakeAt(time: number): void {
    void this.#storage.setAlarm(time);
  }

  async forget(): Promise<void> {
    this.#forgotten = true;
    await this.#storage.deleteAlarm();
    await this.#storage.deleteAll();
  }

  #pieces(where: string, ...bound: number[]): Piece | undefined {
    const [row] = this.#storage.sql.exec<{ first: number; last: number; bytes: ArrayBuffer }>(
      `SELECT first, last, bytes FROM told ${where}`,
      ...bound,
    );
    return row && { ...row, bytes: new Uint8Array(row.bytes) };
  }
}
