/** `npx huozi` and `npx huozi-gpu-backend` in a checkout after `npm ci`, which builds nothing. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);

it.each(['sdk', 'gpu-backend'])('the program of %s runs from its source', async (folder) => {
  const packageAt = new URL(`../../${folder}/package.json`, import.meta.url);
  const { bin, version } = JSON.parse(await readFile(packageAt, 'utf8'));
  for (const [name, file] of Object.entries<string>(bin)) {
    const program = fileURLToPath(new URL(file, packageAt));
    // As npm links it: by the file's own first line and mode.
    expect((await run(program, ['--version'])).stdout.trim(), name).toBe(version);
  }
});
