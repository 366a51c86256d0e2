/**
 * A Chromium from npm alone: @sparticuz/chromium carries headless_shell as a compressed file, with the shared libraries
 * (nss and its like) and the font that a bare machine lacks. Unpacked once, 2–3 s, into node_modules/.cache. The
 * sandbox is off, because it needs rights that containers do not give; the pages are our own.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';

const modules = fileURLToPath(new URL('../../node_modules/', import.meta.url));

/** @returns the folder with `chromium`, `al2023/lib` and `fonts` */
function unpacked(): string {
  const { version } = JSON.parse(readFileSync(`${modules}@sparticuz/chromium/package.json`, 'utf8'));
  const folder = `${modules}.cache/chromium-${version}`;
  if (existsSync(folder)) return folder;
  const part = `${folder}.${process.pid}`;
  mkdirSync(part, { recursive: true });
  // The package unpacks into the temporary folder and takes what lies there for whole, so it gets one of its own, in a
  // process of its own; the runtime that it is told of makes it unpack the libraries as well.
  const script = "await (await import('@sparticuz/chromium')).default.executablePath()";
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: modules,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, TMPDIR: part, AWS_LAMBDA_JS_RUNTIME: 'nodejs20.x' },
  });
  if (ran.status !== 0) throw new Error(`Chromium did not unpack: ${ran.stderr}`);
  try {
    renameSync(part, folder);
  } catch (error) {
    // Another process was faster.
    rmSync(part, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** To be closed by who asks for it. */
export function launchChromium(): Promise<Browser> {
  const folder = unpacked();
  return chromium.launch({
    executablePath: `${folder}/chromium`,
    timeout: 60_000,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--font-render-hinting=none'],
    env: {
      ...process.env,
      LD_LIBRARY_PATH: [`${folder}/al2023/lib`, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
      // A machine with fonts of its own knows where they are, Chinese ones among them.
      ...(!existsSync('/etc/fonts/fonts.conf') && { FONTCONFIG_PATH: `${folder}/fonts` }),
    },
  });
}
