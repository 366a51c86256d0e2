/** `npm run docs [-- --check]`: writes what is made of the code, or says what is out of date. */
import { readFile, writeFile } from 'node:fs/promises';
import { generated } from './generated.ts';

const isCheck = process.argv.includes('--check');
for (const { file, make } of generated) {
  const text = await readFile(file, 'utf8').catch(() => '');
  const made = await make(text);
  if (made === text) continue;
  if (isCheck) {
    process.stderr.write(`${file.pathname} is out of date: npm run docs\n`);
    process.exitCode = 1;
  } else await writeFile(file, made);
}
