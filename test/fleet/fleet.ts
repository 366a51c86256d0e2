/** Several real nodes that announce themselves to one edge, and may be killed and replaced while it answers. */
import { randomBytes } from 'node:crypto';
import { createKey } from '../../src/dev/dev-key.ts';
import { type NodeProcess, startNode } from '../../src/dev/node-process.ts';
import { startWorker, type WorkerHost } from '../../src/dev/worker-host.ts';

export interface TestFleet {
  baseURL: string;
  apiKey: string;
  adminToken: string;
  /** Shared by edge and nodes. */
  nodeToken: string;
  /** Those that run. */
  nodes: NodeProcess[];
  /** JSON lines that the worker printed. */
  edgeLog: string[];
  worker: WorkerHost;
  /** One more node, once the edge knows it. */
  add(): Promise<NodeProcess>;
  kill(node: NodeProcess, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGTERM'): void;
  stop(): Promise<void>;
}

export async function startFleet(
  size: number,
  {
    bindings = {},
    nodeArgs = [],
    inspected = false,
    onNodeLog = () => undefined,
  }: {
    bindings?: Record<string, string>;
    nodeArgs?: string[];
    /** Whether the worker can be looked into, see WorkerHost. */
    inspected?: boolean;
    /** Gets JSON lines that nodes printed. */
    onNodeLog?: (url: string, line: string) => void;
  } = {},
): Promise<TestFleet> {
  const secret = () => randomBytes(16).toString('hex');
  const nodeToken = secret();
  const adminToken = secret();
  const edgeLog: string[] = [];
  const worker = await startWorker({
    port: 0,
    bindings: {
      NODE_URLS: '',
      NODE_TOKEN: nodeToken,
      KEY_SECRET: secret(),
      ADMIN_TOKEN: adminToken,
      ...bindings,
    },
    onLog: (line) => edgeLog.push(line),
    inspected,
  });
  const stopped: NodeProcess[] = [];
  const nodes: NodeProcess[] = [];
  const known = async (url: string) => {
    const response = await fetch(`${worker.url}/admin/nodes`, {
      headers: { authorization: `Bearer ${adminToken}` },
    }).catch(() => undefined);
    // A kept connection may have been closed as it was taken up again.
    if (!response) return false;
    const { data } = (await response.json()) as { data: { url: string }[] };
    return data.some((node) => node.url === url);
  };
  const add = async () => {
    let url = '';
    const args = ['--threads', '1', '--edge', worker.url, ...nodeArgs];
    const node = await startNode(nodeToken, args, (line) => onNodeLog(url, line));
    url = node.url;
    while (!(await known(node.url))) await new Promise((resolve) => setTimeout(resolve, 50));
    nodes.push(node);
    return node;
  };
  await Promise.all(Array.from({ length: size }, add));
  const { key } = await createKey(worker.url, adminToken, { name: 'fleet test' });
  return {
    baseURL: `${worker.url}/v1`,
    apiKey: key,
    adminToken,
    nodeToken,
    nodes,
    edgeLog,
    worker,
    add,
    kill(node, signal) {
      node.process.kill(signal);
      nodes.splice(nodes.indexOf(node), 1);
      stopped.push(node);
    },
    async stop() {
      for (const node of stopped) node.process.kill('SIGKILL');
      await Promise.all([worker.stop(), ...nodes.map((node) => node.stop())]);
    },
  };
}
