/** `npm start` as a person runs it: the ready line, the printed key and curl, a port in use, Ctrl-C. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Started {
  child: ChildProcess;
  output(): string;
  errors(): string;
  ended: Promise<number | null>;
}

function npmStart(port: number): Started {
  const child = spawn('npm', ['start', '--silent'], {
    cwd: root,
    env: { ...process.env, PORT: String(port) },
    // Its own process group, so that the signal reaches what a terminal's Ctrl-C reaches.
    detached: true,
  });
  children.push(child);
  let output = '';
  let errors = '';
  child.stdout!.on('data', (bytes) => {
    output += bytes;
  });
  child.stderr!.on('data', (bytes) => {
    errors += bytes;
  });
  return {
    child,
    output: () => output,
    errors: () => errors,
    ended: once(child, 'exit').then(([code]) => code as number | null),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('streams an answer, prints url, key and a curl that works, and Ctrl-C ends every child', async () => {
  const port = await freePort();
  const started = npmStart(port);
  while (!/^ready /m.test(started.output())) {
    if (started.child.exitCode !== null) throw new Error(started.errors());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const ready = started.output().trimEnd().split('\n').at(-1)!;
  const [, url, key] = ready.split(' ');
  expect(ready).toMatch(/^ready http:\/\/127\.0\.0\.1:\d+ hz_\w+$/);
  expect(url).toBe(`http://127.0.0.1:${port}`);
  expect(started.output()).toMatch(
    /用户 {2}背诵《静夜思》\n助手 {2}床前明月光，疑是地上霜。举头望明月，低头思故乡。\n/,
  );

  const output = started.output();
  const curl = output.slice(output.indexOf('curl -N'), output.indexOf('\n\nCtrl-C'));
  expect(curl).toContain(key);
  const answer = await run(curl);
  expect(answer).toContain('data: [DONE]');
  expect(answer).toMatch(/"content":"\p{Script=Han}/u);

  const node = Number(/^node 1 pid (\d+) /m.exec(output)![1]);
  expect(alive(node)).toBe(true);
  process.kill(-started.child.pid!, 'SIGINT');
  await started.ended;
  while (alive(node)) await new Promise((resolve) => setTimeout(resolve, 20));
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
}, 60_000);

/** The printed command itself; on a machine without curl, the same request. */
async function run(curl: string): Promise<string> {
  const ran = spawnSync('sh', ['-c', `${curl} --silent --show-error`], { encoding: 'utf8' });
  if (ran.status === 0) return ran.stdout;
  if (!/not found/.test(ran.stderr)) throw new Error(ran.stderr);
  const headers = [...curl.matchAll(/-H '([^:]+): ([^']+)'/g)].map(
    ([, name, value]) => [name!, value!] as [string, string],
  );
  const url = /curl -N (\S+)/.exec(curl)![1]!;
  const response = await fetch(url, { method: 'POST', headers, body: /-d '(.+)'/.exec(curl)![1]! });
  return response.text();
}

it('says in one line that the port is in use', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  const started = npmStart(port);
  expect(await started.ended).toBe(1);
  expect(started.errors()).toBe(`huozi: port ${port} is in use; set PORT to another one\n`);
  holder.close();
});
