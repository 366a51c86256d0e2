/** One subcommand of `huozi-gpu-backend`. */
export interface Command {
  /** One line in the list of commands. */
  summary: string;
  /** What `<command> --help` prints. */
  help: string;
  /** Settles when the command is done, with an exit code if that is not 0; a server's, when it has been told to end. */
  run(args: string[]): Promise<void> | Promise<number>;
}

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** @throws UsageError unless `text` is a whole number from `min` on */
export function wholeNumber(option: string, text: string, min: number, max = 2 ** 31 - 1): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsageError(`--${option} takes a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}
