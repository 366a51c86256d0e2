/** What can be wrong with the native library itself; the model's file has errors of its own in engine/. */

/** No package of prebuilt libraries fits this machine, or none of them loads. */
export class NativeLibraryError extends Error {
  override name = 'NativeLibraryError';
}

/** The library is not the build that the struct layouts here were written for. */
export class NativeMismatchError extends Error {
  override name = 'NativeMismatchError';
  /** What differed: a version, a struct's field. */
  readonly subject: string;

  constructor(subject: string, found: unknown, expected: unknown) {
    super(`llama.cpp's library does not fit: ${subject} is ${String(found)}, expected ${String(expected)}`);
    this.subject = subject;
  }
}
