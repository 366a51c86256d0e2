/** What is written to a terminal: colour where it is wanted, widths as they are seen, nothing that a model may steer. */
import { env, stderr, stdout } from 'node:process';

/** Wrong use: exit code 2. */
export class UsageError extends Error {}

/** One line to standard output. */
export function say(line = ''): void {
  stdout.write(`${line}\n`);
}

/** https://no-color.org; a terminal that is dumb shows codes as letters. */
function hasColour(stream: { isTTY?: boolean }): boolean {
  return Boolean(stream.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb';
}

const paint =
  (code: number) =>
  (text: string, stream: { isTTY?: boolean } = stdout) =>
    hasColour(stream) ? `\x1b[${code}m${text}\x1b[0m` : text;

export const dim = paint(2);
export const bold = paint(1);
export const red = paint(31);

/**
 * A model's text for a terminal: without control characters, which could move the cursor, write the clipboard or hide
 * what was said. What is piped stays as it is.
 */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '');
}

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const segmenter = new Intl.Segmenter();

/** Columns that a text takes: Chinese characters and emoji are two wide, combining marks none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of segmenter.segment(text)) {
    if (wide.test(segment)) width += 2;
    else if (!/^[\p{Mark}\p{Control}\p{Format}]*$/u.test(segment)) width++;
  }
  return width;
}

const padded = (text: string, width: number, toRight: boolean) => {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return toRight ? space + text : text + space;
};

export type Cell = string | number | null | undefined;

/** Columns under their heads; numbers stand to the right. */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const shown = rows.map((row) =>
    row.map((cell) => harmless(cell === null || cell === undefined ? '–' : `${cell}`)),
  );
  const widths = heads.map((head, at) =>
    Math.max(widthOf(head), ...shown.map((row) => widthOf(row[at] ?? ''))),
  );
  const isNumber = heads.map((_, at) => rows.length > 0 && rows.every((row) => typeof row[at] !== 'string'));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => padded(cell, widths[at]!, isNumber[at]!))
      .join('  ')
      .trimEnd();
  return [bold(line(heads)), ...shown.map(line)].join('\n');
}

/** A progress bar on standard error; nothing where that is no terminal. */
export function progressBar(total: number): { at(done: number, note: string): void; end(): void } {
  let shownAt = 0;
  return {
    at(done, note) {
      const now = performance.now();
      if (!stderr.isTTY || (now - shownAt < 100 && done < total)) return;
      shownAt = now;
      const cells = 24;
      const filled = total ? Math.round((done / total) * cells) : cells;
      stderr.write(`\r\x1b[K${'█'.repeat(filled)}${'░'.repeat(cells - filled)} ${done}/${total} ${note}`);
    },
    end() {
      if (stderr.isTTY) stderr.write('\r\x1b[K');
    },
  };
}
