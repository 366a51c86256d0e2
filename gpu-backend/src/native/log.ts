/**
 * llama.cpp's log, kept instead of printed: its last error lines become the reason in one of our errors.
 * Native code may log from any thread; koffi brings the call to the event loop. So a native function that
 * logs from a thread of its own must be called `.async`, or both sides wait for each other.
 */
import koffi from 'koffi';

/** `enum ggml_log_level`; a continued line belongs to the one before it. */
const levels = { error: 4, continued: 5 };
/** Error lines kept; those of one failed load are a handful. */
const capacity = 16;

let errors: string[] = [];
let lastLevel = 0;
let onLine: ((text: string) => void) | undefined;

const callbackType = koffi.pointer(koffi.proto('void', ['int32', 'str', 'void *']));

/** The address to hand to `llama_log_set`; stays registered as long as the process lives. */
export function registerLog(): bigint {
  return koffi.register((level: number, text: string | null) => {
    if (text === null) return;
    const continues = level === levels.continued;
    if (!continues) {
      lastLevel = level;
      onLine?.(text);
    }
    if (lastLevel !== levels.error) return;
    errors.push((continues ? (errors.pop() ?? '') : '') + text);
    if (errors.length > capacity) errors.shift();
  }, callbackType);
}

/** Tells every line to `listener` until the function that it returns is called. */
export function listenToLog(listener: (text: string) => void): () => void {
  onLine = listener;
  return () => {
    onLine = undefined;
  };
}

/** Tells every line to `listener` while `work` runs. */
export function withLog<T>(listener: (text: string) => void, work: () => T): T {
  const stop = listenToLog(listener);
  try {
    return work();
  } finally {
    stop();
  }
}

/** Forgets what was logged before the operation whose failure `lastErrors` shall explain. */
export function clearLog(): void {
  errors = [];
}

/** Errors since `clearLog`, on one line, without the names of C functions; '' if there were none. */
export function lastErrors(): string {
  const texts = errors.map((text) =>
    text
      .trim()
      .replace(/^\w+: /, '')
      .replaceAll(/\s+/g, ' '),
  );
  return [...new Set(texts)].join('; ');
}
