/**
 * The client's end of an answer that is written bit by bit: one writer, back-pressure, and knowing when the client
 * has left.
 *
 * workerd reports a reset at once, but a plain close only after a write that follows it (measured: 1 ms after).
 * So silence is broken by probes, which also keep proxies from cutting the connection. Tokens that flow are probes
 * enough; then a timer looks once a second whether they still do.
 */
const probeMs = 80;
const flowMs = 1_000;
/** Bytes that may wait for the client before the node is no longer read. */
const highWaterMark = 64 * 1024;

export class ClientStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #writable: WritableStream<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #released = false;
  readonly #probe: Uint8Array;
  #lastWrite = 0;
  #timer: ReturnType<typeof setTimeout>;

  /**
   * @param probe means nothing wherever it may stand between two writes
   * @param onGone the client has left; called at most once, never after `end`
   */
  constructor(probe: Uint8Array, onGone: () => void) {
    const { readable, writable } = new IdentityTransformStream({ highWaterMark });
    this.readable = readable;
    this.#writable = writable;
    this.#writer = writable.getWriter();
    this.#probe = probe;
    this.#timer = setTimeout(this.#look, probeMs);
    this.#writer.closed.catch(() => {
      if (this.#released) return;
      clearTimeout(this.#timer);
      onGone();
    });
  }

  /** To be awaited if there is something to await: the client reads more slowly than the node writes. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#lastWrite = Date.now();
    return this.#write(bytes);
  }

  /** Asks whether the client is still there. Bytes that wait to be read ask the same. */
  probe(): void {
    if ((this.#writer.desiredSize ?? 0) >= highWaterMark) this.#write(this.#probe);
  }

  /** Gives the client's end away, after what has been written. From here on nobody probes. */
  release(): WritableStream<Uint8Array> {
    this.#released = true;
    clearTimeout(this.#timer);
    this.#writer.releaseLock();
    return this.#writable;
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writer.close().catch(ignore);
  }

  #write(bytes: Uint8Array): Promise<void> | undefined {
    const written = this.#writer.write(bytes).catch(ignore);
    return (this.#writer.desiredSize ?? 1) > 0 ? undefined : written;
  }

  #look = (): void => {
    const quiet = Date.now() - this.#lastWrite;
    if (quiet < flowMs) {
      this.#timer = setTimeout(this.#look, flowMs - quiet);
      return;
    }
    this.probe();
    this.#timer = setTimeout(this.#look, probeMs);
  };
}

function ignore(): void {
  // A write that fails says what `closed` says too.
}
