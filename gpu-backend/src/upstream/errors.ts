/** What goes wrong between this node and an engine behind HTTP. */

/** The request asks for what that engine does not have: told before anything is sent. */
export class UnsupportedFieldError extends Error {
  override name = 'UnsupportedFieldError';
  /** As the protocol names it, such as `sampling.dry`. */
  readonly param: string;

  constructor(param: string, engine: string, why = 'has nothing like it') {
    super(`${engine} ${why}`);
    this.param = param;
  }
}

/** The engine answered with a status that is no success. */
export class UpstreamStatusError extends Error {
  override name = 'UpstreamStatusError';
  readonly status: number;
  /** From its `Retry-After`, milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, message: string, retryAfterMs: number | undefined) {
    super(`the engine answered ${status}: ${message}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No connection, or one that ended before the answer did. */
export class UpstreamUnreachableError extends Error {
  override name = 'UpstreamUnreachableError';
}

/** An answer, or a part of one, that is not in the form it should have. */
export class UpstreamMalformedError extends Error {
  override name = 'UpstreamMalformedError';
}

/** The engine says amid an answer that it failed. Its own words may quote the prompt, and a node's log holds none of it. */
export class UpstreamFailedError extends Error {
  override name = 'UpstreamFailedError';

  constructor(engine: string) {
    super(`${engine} failed amid an answer: its own log says why`);
  }
}
