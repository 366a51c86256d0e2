/** A node of `gpu-backend` as a child process, from this checkout's sources. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cli = fileURLToPath(new URL('../../gpu-backend/src/cli.ts', import.meta.url));

export interface NodeProcess {
  url: string;
  pid: number;
  process: ChildProcess;
  /** SIGTERM, then SIGKILL if it has not ended after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

/** Why a node did not come up: its own last words, one line where it had one. */
class NodeStartError extends Error {
  override name = 'NodeStartError';
}

/**
 * Starts `huozi-gpu-backend serve` on a free port and waits for its `ready` line.
 * @param args further options of `serve`, e.g. `['--slots', '4']`
 * @param onLog gets the node's log lines (JSON)
 */
export async function startNode(
  token: string,
  args: readonly string[] = [],
  onLog: (line: string) => void = () => undefined,
): Promise<NodeProcess> {
  const child = spawn(
    process.execPath,
    ['--conditions=huozi-source', '--import', 'tsx', cli, 'serve', '--port', '0', ...args],
    { cwd: root, env: { ...process.env, HUOZI_NODE_TOKEN: token }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const exited = once(child, 'exit');
  let lastWords = '';
  createInterface({ input: child.stderr! }).on('line', (line) => {
    lastWords = line;
    onLog(line);
  });
  const stop = async (graceMs = 5_000) => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await exited;
    clearTimeout(timer);
  };
  const ready = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (line.startsWith('ready ')) resolve(line.slice('ready '.length).trim());
    });
  });
  const url = await Promise.race([ready, exited.then(() => undefined)]);
  if (!url) throw new NodeStartError(`the node ended before it was ready: ${lastWords || 'it said nothing'}`);
  return { url, pid: child.pid!, process: child, stop };
}
