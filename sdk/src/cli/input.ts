/** A person's lines: edited and with a history in a terminal, as they come from a pipe. */
import { stdin, stdout } from 'node:process';
import { createInterface, type Interface } from 'node:readline';

/** Lines that come this close together were pasted and are one message, ms. */
const paste = 25;
const longestHistory = 500;

/** A message; `interrupt` for Ctrl-C, `end` for Ctrl-D or the end of a pipe. */
export type Input = { text: string } | 'interrupt' | 'end';

export interface Reader {
  read(prompt: string): Promise<Input>;
  /** Latest first, as readline has it. */
  readonly history: readonly string[];
  close(): void;
}

export function openReader(history: readonly string[]): Reader {
  return stdin.isTTY ? terminal(history) : pipe();
}

/**
 * One interface a message: while an answer streams, the terminal is its own again, so that Ctrl-C is a signal and
 * what is typed does not get into the answer's line.
 */
function terminal(kept: readonly string[]): Reader {
  let history = [...kept];
  let open: Interface | undefined;
  return {
    get history() {
      return history;
    },
    read: (prompt) =>
      new Promise((resolve) => {
        const lines: string[] = [];
        let timer: ReturnType<typeof setTimeout> | undefined;
        const reader = createInterface({
          input: stdin,
          output: stdout,
          history,
          historySize: longestHistory,
          prompt,
        });
        open = reader;
        function end(input: Input): void {
          clearTimeout(timer);
          open = undefined;
          reader.close();
          resolve(input);
        }
        function goOn(): void {
          reader.setPrompt('… ');
          reader.prompt(true);
        }
        reader.on('history', (latest: string[]) => {
          history = [...latest];
        });
        reader.on('line', (line) => {
          lines.push(line);
          clearTimeout(timer);
          if (isOpen(lines)) return goOn();
          timer = setTimeout(() => {
            // What was pasted has a last line without an end: Enter sends it, as it would one that was typed.
            if (reader.line) goOn();
            else end({ text: textOf(lines) });
          }, paste);
        });
        reader.on('SIGINT', () => {
          const hadText = reader.line.length > 0 || lines.length > 0;
          stdout.write('^C\n');
          // Ctrl-C in a half-written message throws it away, as a shell does.
          end(hadText ? { text: '' } : 'interrupt');
        });
        reader.on('close', () => {
          if (open === reader) end('end');
        });
        reader.prompt();
      }),
    close: () => open?.close(),
  };
}

function pipe(): Reader {
  const reader = createInterface({ input: stdin, crlfDelay: Infinity });
  const lines = reader[Symbol.asyncIterator]();
  return {
    history: [],
    async read() {
      const message: string[] = [];
      do {
        const { done, value } = await lines.next();
        if (done) return message.length > 0 ? { text: textOf(message) } : 'end';
        message.push(value);
      } while (isOpen(message));
      return { text: textOf(message) };
    },
    close: () => reader.close(),
  };
}

/** A message goes on after a `\` at a line's end, and between two lines of `"""`. */
export function isOpen(lines: readonly string[]): boolean {
  if (lines[0]?.trim() === '"""') return lines.length === 1 || lines.at(-1)!.trim() !== '"""';
  return lines.at(-1)!.endsWith('\\');
}

export function textOf(lines: readonly string[]): string {
  if (lines[0]?.trim() === '"""')
    return lines.slice(1, lines.at(-1)!.trim() === '"""' ? -1 : undefined).join('\n');
  return lines.map((line) => line.replace(/\\$/, '')).join('\n');
}
