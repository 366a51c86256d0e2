/** What `npm run deploy` would upload: it builds, needs nothing made beforehand, and stays small. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const largestKiB = 160;

it(`is at most ${largestKiB} KiB gzipped`, () => {
  // Wrangler writes beside its configuration and into its home: both lie elsewhere, so that the tree stays as it is.
  const folder = mkdtempSync(join(tmpdir(), 'huozi-deploy-'));
  try {
    const configuration = readFileSync(join(root, 'wrangler.toml'), 'utf8');
    const at = (path: string) => JSON.stringify(join(root, path));
    const moved = configuration
      .replace('"src/index.ts"', at('src/index.ts'))
      .replace('"dist/playground"', at('dist/playground'))
      .replace('[build]', `[build]\ncwd = ${at('.')}`);
    writeFileSync(join(folder, 'wrangler.toml'), moved);
    const wrangler = join(root, 'node_modules/.bin/wrangler');
    const ran = spawnSync(wrangler, ['deploy', '--dry-run', '--outdir', 'out'], {
      cwd: folder,
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        XDG_CONFIG_HOME: folder,
        CI: '1',
        WRANGLER_SEND_METRICS: 'false',
        WRANGLER_HIDE_BANNER: 'true',
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      },
    });
    expect(ran.stderr).toBe('');
    expect(ran.status).toBe(0);
    const size = /Total Upload: .* gzip: ([\d.]+) KiB/.exec(ran.stdout)!;
    process.stdout.write(`${size[0]}\n`);
    expect(Number(size[1])).toBeLessThanOrEqual(largestKiB);
    // All state is in Durable Objects: the first deploy creates them.
    for (const [, binding] of configuration.matchAll(/^name = "([A-Z_]+)"$/gm))
      expect(ran.stdout).toContain(`env.${binding} `);
    expect(ran.stdout).not.toMatch(/KV Namespace|D1 Database|R2 Bucket/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
