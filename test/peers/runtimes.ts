/**
 * `npm run test:runtimes`: the packed SDK in Node 20, 22 and 24, Deno, Bun, workerd and Chromium, each through every
 * hostile scenario. Installs the runtimes from npm into HUOZI_PEERS_DIR; Chromium has to be there (Debian: `apt-get
 * install chromium`), and is reported as missing where it is not. Appends nothing: what it gave is in RESULTS.md.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { type HostileServer, hostileServer } from '../../sdk/test/hostile-server.ts';
import { type Outcome, wanted } from '../../sdk/test/portable.ts';
import { type Scenario, scenarios } from '../../sdk/test/scenarios.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const peers = resolve(process.env.HUOZI_PEERS_DIR ?? join(root, '.peers'), 'runtimes');
const run = promisify(execFile);

const installed = {
  node20: 'npm:node@20',
  node22: 'npm:node@22',
  node24: 'npm:node@24',
  deno: '2.9.6',
  bun: '1.4.5',
  'playwright-core': '1.65.1',
};

interface Place {
  name: string;
  /** What the suite gave there. */
  run(servers: Record<string, string>): Promise<Outcome[]>;
}

async function installRuntimes(): Promise<void> {
  await mkdir(peers, { recursive: true });
  const manifest = { private: true, type: 'module', dependencies: installed };
  await writeFile(join(peers, 'package.json'), JSON.stringify(manifest));
  const flags = ['--no-audit', '--no-fund', '--foreground-scripts=false'];
  // The packages of node and bun put their binary in place in an install script.
  await run('npm', ['install', ...flags], { cwd: peers });
}

/** An empty project with the tarballs of the SDK and of what it depends on. */
async function emptyProject(): Promise<string> {
  const project = await mkdtemp(join(tmpdir(), 'huozi-runtimes-'));
  const { stdout } = await run('npm', ['pack', join(root, 'sdk'), '--json', '--pack-destination', project], {
    cwd: project,
  });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
  await run('npm', ['install', '--no-audit', '--no-fund', `./${filename}`], { cwd: project });
  return project;
}

/** The suite as one file; `huozi` is the installed one, left outside or bundled. */
async function bundle(project: string, entry: string, isBundled: boolean): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: project, sourcefile: 'entry.ts', loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: isBundled ? 'browser' : 'neutral',
    target: 'es2022',
    write: false,
    external: isBundled ? [] : ['huozi', 'huozi/*'],
  });
  return outputFiles[0]!.text;
}

const suite = JSON.stringify(join(root, 'sdk/test/portable.ts'));
const imports = `
  import * as huozi from 'huozi';
  import { Conversation } from 'huozi/conversation';
  import { follow } from 'huozi/streams';
  import { runAll } from ${suite};
`;

function commandLine(name: string, binary: string, args: string[], project: string): Place {
  return {
    name,
    async run(servers) {
      const { stdout } = await run(binary, [...args, 'suite.mjs', JSON.stringify(servers)], {
        cwd: project,
        timeout: 120_000,
      });
      return JSON.parse(stdout);
    },
  };
}

function workerd(script: string): Place {
  return {
    name: 'workerd',
    async run(servers) {
      const worker = new Miniflare({ modules: true, script, compatibilityDate: '2026-04-26' });
      try {
        const response = await worker.dispatchFetch('http://suite.test/', {
          method: 'POST',
          body: JSON.stringify(servers),
        });
        return (await response.json()) as Outcome[];
      } finally {
        await worker.dispose();
      }
    },
  };
}

function chromium(script: string, executablePath: string): Place {
  return {
    name: 'Chromium',
    async run(servers) {
      const page = createServer((_, response) => {
        response.setHeader('content-type', 'text/html');
        response.end('<!doctype html><title>suite</title>');
      });
      await new Promise<void>((listening) => page.listen(0, '127.0.0.1', listening));
      const at = pathToFileURL(join(peers, 'node_modules/playwright-core/index.mjs')).href;
      const { chromium } = await import(at);
      // The hostile servers stand on ports of their own and know nothing of CORS.
      const browser = await chromium.launch({
        executablePath,
        args: ['--no-sandbox', '--disable-web-security'],
      });
      try {
        const tab = await browser.newPage();
        await tab.goto(`http://127.0.0.1:${(page.address() as AddressInfo).port}/`);
        await tab.addScriptTag({ content: script, type: 'module' });
        await tab.waitForFunction('globalThis.suite');
        return await tab.evaluate(`globalThis.suite(${JSON.stringify(servers)})`);
      } finally {
        await browser.close();
        page.close();
      }
    },
  };
}

async function placesIn(project: string): Promise<Place[]> {
  const at = (path: string) => join(peers, 'node_modules', path);
  await writeFile(
    join(project, 'suite.mjs'),
    await bundle(
      project,
      `${imports}
      const servers = JSON.parse(globalThis.process.argv.at(-1));
      // No exit of its own: where a handle is left open, it hangs, and that is found.
      console.log(JSON.stringify(await runAll(huozi, Conversation, follow, servers)));`,
      false,
    ),
  );
  const worker = await bundle(
    project,
    `${imports}
    export default {
      fetch: async (request) => Response.json(await runAll(huozi, Conversation, follow, await request.json())),
    };`,
    true,
  );
  const page = await bundle(
    project,
    `${imports} globalThis.suite = (s) => runAll(huozi, Conversation, follow, s);`,
    true,
  );
  const browser = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return [
    ...[20, 22, 24].map((n) => commandLine(`Node ${n}`, at(`node${n}/bin/node`), [], project)),
    commandLine(
      'Deno',
      at('deno/deno'),
      ['run', '--quiet', '--allow-all', '--node-modules-dir=manual'],
      project,
    ),
    commandLine('Bun', at('bun/bin/bun.exe'), ['run'], project),
    workerd(worker),
    ...(existsSync(browser) ? [chromium(page, browser)] : []),
  ];
}

/** What is not as it should be, in words. */
function faults(outcomes: readonly Outcome[], servers: Record<string, HostileServer>): string[] {
  const found: string[] = [];
  for (const { scenario, text, end } of outcomes) {
    const want = wanted[scenario] ?? { end: 'whole', text: '你好，世界' };
    if (text !== want.text || end !== want.end) found.push(`${scenario}: ${end} after ${text || 'nothing'}`);
    const tries = servers[scenario]?.tries;
    if (!tries || scenario === 'comments') continue;
    const { tries: count = 1, mayRetry } = wanted[scenario]!;
    if (tries.length !== count && !(mayRetry && tries.length <= 3))
      found.push(`${scenario}: ${tries.length} tries`);
    const keys = new Set(tries.map(({ headers }) => headers['idempotency-key']));
    if (keys.size !== 1 || keys.has(undefined)) found.push(`${scenario}: ${keys.size} idempotency keys`);
  }
  return found;
}

const names = Object.keys(scenarios) as Scenario[];
await installRuntimes();
const project = await emptyProject();
let failed = 0;
let passed = 0;
try {
  for (const { name, run } of await placesIn(project)) {
    const servers: Record<string, HostileServer> = {};
    for (const scenario of names) servers[scenario] = await hostileServer(scenarios[scenario]);
    const from = Date.now();
    try {
      const addresses = Object.fromEntries(names.map((scenario) => [scenario, servers[scenario]!.baseURL]));
      const outcomes = await run(addresses);
      // What the client does on leaving must be seen by the server: that it goes, and that it ends what is kept.
      const ended = servers['kept answer, break']!;
      const hasLeft = Promise.all([servers.break!.tries[0]!.left, ended.tries[0]!.left, ended.tried(2)]);
      const isSeen = await Promise.race([hasLeft.then(() => true), pause(3000, false)]);
      const found = faults(outcomes, servers);
      if (!isSeen) found.push('break: the connection stayed');
      passed += outcomes.length - found.length;
      failed += found.length;
      const seconds = ((Date.now() - from) / 1000).toFixed(1);
      process.stdout.write(
        `${name}: ${outcomes.length - found.length} of ${outcomes.length} right, ${seconds} s\n`,
      );
      for (const fault of found) process.stdout.write(`  ${fault}\n`);
    } catch (error) {
      failed++;
      process.stdout.write(`${name}: ${error}\n`);
    }
    await Promise.all(Object.values(servers).map((server) => server.close()));
  }
} finally {
  await rm(project, { recursive: true, force: true });
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed ? 1 : 0;
