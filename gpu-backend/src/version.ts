import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** This package's version, from the package.json that lies beside `src` and `dist` alike. */
export const version = manifest.version;
