import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { formatBytes, Progress } from './progress.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function stream(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, columns: 100, written, write: (text: string) => written.push(text) > 0 };
}

it('redraws one line on a terminal, ten times a second at most', () => {
  const terminal = stream(true);
  const progress = new Progress('convert', 4e9, { stream: terminal });
  for (let i = 0; i < 100; i++) {
    vi.advanceTimersByTime(10);
    progress.advance(1e7);
  }
  expect(terminal.written).toHaveLength(10);
  progress.end();
  expect(terminal.written.slice(-2)).toEqual([
    '\r\x1b[Kconvert [########                      ]  25 %  1.00 GB of 4.00 GB, 1.00 GB/s 3 s left',
    '\n',
  ]);
});

it('leaves out the bar where there is no room for it', () => {
  const terminal = { ...stream(true), columns: 40 };
  const progress = new Progress('pull', 100, { stream: terminal });
  progress.end();
  expect(terminal.written[0]).toBe('\r\x1b[Kpull   0 %  0 B of 100 B, 0 B/s');
});

it('writes a plain line every ten seconds where there is no terminal, and none for a short task', () => {
  const log = stream(false);
  const progress = new Progress('quantize', 50, { stream: log, unit: 'tensors' });
  for (let i = 0; i < 25; i++) {
    vi.advanceTimersByTime(1000);
    progress.advance(1);
  }
  progress.end();
  expect(log.written).toEqual([
    'quantize 20 %  10 tensors of 50 tensors, 1 tensors/s 40 s left\n',
    'quantize 40 %  20 tensors of 50 tensors, 1 tensors/s 30 s left\n',
  ]);
});

it('counts what was there before, but not into the rate', () => {
  const log = stream(false);
  const progress = new Progress('pull', 100e9, { stream: log, done: 50e9 });
  vi.advanceTimersByTime(10_000);
  progress.advance(1e9);
  expect(log.written).toEqual(['pull 51 %  51.0 GB of 100 GB, 100 MB/s 8 min 10 s left\n']);
});

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [93.8e9, '93.8 GB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
