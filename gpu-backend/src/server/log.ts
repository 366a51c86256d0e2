import pino, { type Logger } from 'pino';

/** JSON lines on stderr: ids, counts and times. Prompts and answers are never passed to it. */
export function createLog(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2));
}
