/** `bench:gpu` itself, in its small form: on a GPU machine there is no time to mend it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { gpusOf, listDevices } from '../src/native/devices.ts';

const folder = mkdtempSync(join(tmpdir(), 'huozi-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = fileURLToPath(new URL('./gpu.ts', import.meta.url));
  const tsx = fileURLToPath(import.meta.resolve('tsx/cli'));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [tsx, '--conditions=huozi-source', script, ...args],
      (error, stdout, stderr) => {
        resolve({ code: Number(error?.code ?? 0), stdout, stderr });
      },
    );
  });
}

test('the small form runs, compares, prints a table and writes JSON, and leaves no model', async () => {
  const out = join(folder, 'figures.json');
  const { code, stdout, stderr } = await bench(
    ...['--size', 'tiny', '--cpu', '--threads', '1', '--tokens', '8', '--dir', folder, '--out', out],
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const rows = stdout.split('\n').filter((line) => /^\| .* \d/.test(line));
  expect(rows.map((row) => row.split(' | ')[0])).toEqual([
    '| experts',
    '| no override',
    '| half in RAM',
    '| all in RAM',
  ]);
  expect(stdout).toContain('agrees: 100.0 % of 64 positions');
  const figures = JSON.parse(readFileSync(out, 'utf8'));
  expect(figures.check).toMatchObject({ top1: 1, nll: 0, passed: true });
  expect(figures.check.spread).toBeGreaterThan(0.3);
  for (const { decode, prefill } of figures.rows) {
    for (const rate of [prefill, decode[1], decode[8], decode[32]]) expect(rate).toBeGreaterThan(0);
  }
  expect(readdirSync(folder)).toEqual(['figures.json']);
}, 120_000);

// With a GPU in the machine the bench would begin: what is missing then is a machine without one.
const hasGpu = gpusOf(listDevices()).length > 0;
test.skipIf(hasGpu)('without a GPU it says so in one line', async () => {
  const { code, stderr } = await bench();
  expect(code).toBe(2);
  expect(stderr).toMatch(/^bench:gpu: no GPU was found; .*--cpu.*\n$/);
});

test('what to carry along is in its help, and a wrong size is named', async () => {
  const { code, stdout } = await bench('--help');
  expect(code).toBe(0);
  expect(stdout).toContain('@node-llama-cpp/linux-x64-cuda');
  expect(await bench('--size', 'huge')).toMatchObject({ code: 2, stderr: expect.stringContaining('"huge"') });
});
