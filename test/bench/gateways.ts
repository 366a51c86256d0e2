/** The ways to one paced node: direct, a worker that does nothing, the edge in both its ways, and other gateways. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { createKey } from '../../src/dev/dev-key.ts';
import { startWorker } from '../../src/dev/worker-host.ts';
import { workerds } from '../workerds.ts';

export interface Gateway {
  name: string;
  url: string;
  headers: Record<string, string>;
  /** Further headers, other ones for each request. */
  fresh?: () => Record<string, string>;
  /** Further fields of each request. */
  fields?: object;
  /** Whose CPU it is; undefined: nobody's, the node is asked itself. */
  pid: number | undefined;
  stop(): Promise<unknown>;
}

const json = { 'content-type': 'application/json' };
const token = 'bench-token-of-the-node';
const adminToken = 'bench-token-of-the-admin';

export async function startPacedNode(): Promise<{ url: string; stop(): Promise<unknown> }> {
  const file = fileURLToPath(new URL('./paced-node.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { url: line.slice('ready '.length), stop: () => end(child) };
}

export function direct(node: string): Gateway {
  const url = `${node}/v1/chat/completions`;
  return { name: 'the node direct', url, headers: json, pid: undefined, stop: async () => undefined };
}

/** The least that a worker can do: the very bytes that the edge reads, as they are, without JavaScript for them. */
export async function rawBody(node: string): Promise<Gateway> {
  const script = `export default { async fetch(request) {
    const { body } = await fetch('${node}/v1/generate', { method: 'POST', body: await request.text() });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  } };`;
  const { pid, value: miniflare } = await withPid(async () => {
    const started = new Miniflare({
      modules: [{ type: 'ESModule', path: 'index.mjs', contents: script }],
      compatibilityDate: '2026-04-26',
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      stripCfConnectingIp: false,
      cf: false,
    } as ConstructorParameters<typeof Miniflare>[0]);
    await started.ready;
    return started;
  });
  const { origin } = await miniflare.unsafeGetDirectURL();
  return { name: 'raw body', url: origin, headers: json, pid, stop: () => miniflare.dispose() };
}

export async function edge(node: string, relay: 'durable' | 'lean'): Promise<Gateway> {
  const { pid, value: worker } = await withPid(() =>
    startWorker({
      port: 0,
      bindings: {
        NODE_URLS: node,
        NODE_TOKEN: token,
        KEY_SECRET: 'bench-secret-of-the-keys',
        ADMIN_TOKEN: adminToken,
        RELAY: relay,
      },
    }),
  );
  const { key } = await createKey(worker.url, adminToken, { name: 'bench' });
  return {
    name: `edge, ${relay}`,
    url: `${worker.url}/v1/chat/completions`,
    headers: { ...json, authorization: `Bearer ${key}` },
    pid,
    stop: () => worker.stop(),
  };
}

/** Portkey's gateway as it is published, or without the 25 ms that it waits before an answer's first chunk. */
export async function portkey(node: string, timer: boolean): Promise<Gateway> {
  let file = fileURLToPath(import.meta.resolve('@portkey-ai/gateway/build/start-server.js'));
  if (!timer) {
    const wait = /await new Promise\(\(?\(?e\)?=>setTimeout\(e,25\)\)?\)/g;
    const script = readFileSync(file, 'utf8');
    if (!wait.test(script)) throw new Error('Portkey has no 25 ms timer any more');
    file = file.replace(/\.js$/, '-without-timer.js');
    writeFileSync(file, script.replace(wait, '0'));
  }
  const port = await freePort();
  const gateway = await started(
    spawn(process.execPath, [file, `--port=${port}`, '--headless'], { stdio: 'ignore' }),
    port,
  );
  const headers = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${node}/v1` };
  return {
    name: timer ? 'Portkey' : 'Portkey, no timer',
    url: `http://127.0.0.1:${port}/v1/chat/completions`,
    headers: { ...json, authorization: 'Bearer x', ...headers },
    ...gateway,
  };
}

/**
 * What `.ci/peers` has installed: `BENCH_GATEWAYS` holds a JSON list of `{name, command: [...], path}`. `{port}` and
 * `{node}` in the command are filled in.
 */
export function others(node: string): Promise<Gateway>[] {
  const listed = JSON.parse(process.env.BENCH_GATEWAYS ?? '[]') as {
    name: string;
    command: string[];
    path: string;
  }[];
  return listed.map(async ({ name, command, path }) => {
    const port = await freePort();
    const [program, ...args] = command.map((part) =>
      part.replace('{port}', String(port)).replace('{node}', node),
    );
    const gateway = await started(spawn(program!, args, { stdio: 'ignore' }), port);
    const headers = { ...json, authorization: 'Bearer sk-bench' };
    return { name, url: `http://127.0.0.1:${port}${path}`, headers, ...gateway };
  });
}

/** CPU seconds that a process's threads have taken, to the nanosecond: a few streams take less than /proc/…/stat tells. */
export function cpuSeconds(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const took = tasks.map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]),
  );
  return took.reduce((sum, one) => sum + one, 0) / 1e9;
}

async function started(
  child: ChildProcess,
  port: number,
): Promise<{ pid: number; stop(): Promise<unknown> }> {
  for (let up = false; !up; ) {
    if (child.exitCode !== null) throw new Error(`a gateway ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    up = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
  }
  return { pid: child.pid!, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<unknown> {
  child.kill('SIGKILL');
  return child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** Miniflare does not tell its workerd's process id: it is the one that was not there before. */
async function withPid<T>(start: () => Promise<T>): Promise<{ pid: number; value: T }> {
  const before = new Set(workerds());
  const value = await start();
  const pid = workerds().find((one) => !before.has(one));
  if (pid === undefined) throw new Error('workerd was not found among the processes');
  return { pid, value };
}
