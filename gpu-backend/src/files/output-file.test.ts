import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeOutputFile, writeOutputFolder } from './output-file.ts';

let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'huozi-output-'));
});
afterEach(() => rm(work, { recursive: true }));

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s in the middle leaves nothing behind', async (signal, code) => {
  const source = fileURLToPath(new URL('./output-file.ts', import.meta.url));
  const script = `
    import { writeOutputFolder } from ${JSON.stringify(source)};
    import { writeFileSync } from 'node:fs';
    await writeOutputFolder(process.argv[1], false, (folder) => new Promise(() => {
      writeFileSync(folder + '/shard', 'half');
      process.stdout.write('writing');
      setInterval(() => {}, 1000);
    }));`;
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', script, join(work, 'out')];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  expect(await readdir(work)).toEqual([`out.${child.pid}.part`]);
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([code, null]);
  expect(await readdir(work)).toEqual([]);
});

it('says where it cannot write, and why', async () => {
  const inNowhere = join(work, 'nowhere', 'out.gguf');
  await expect(writeOutputFile(inNowhere, false, async () => undefined)).rejects.toThrow(
    `${inNowhere}: cannot be written: no such file or folder`,
  );
  const file = join(work, 'file');
  await writeOutputFile(file, false, async () => undefined);
  await expect(writeOutputFolder(file, true, async () => undefined)).rejects.toThrow(
    `${file}: is not a folder`,
  );
});
