/**
 * `npm start [-- --nodes 3] [--verbose]`: nodes with huozi-tiny, the worker in workerd, one question answered through the SDK,
 * then it serves until Ctrl-C. Nothing here reaches beyond loopback.
 */
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Huozi } from 'huozi';
import { developmentKey } from './dev-key.ts';
import { type NodeProcess, startNode } from './node-process.ts';
import { devSecrets } from './secrets.ts';
import { startWorker, type WorkerHost } from './worker-host.ts';

const port = Number(process.env.PORT ?? 8787);
const question = '背诵《静夜思》';
const { values } = parseArgs({
  options: { nodes: { type: 'string', default: '1' }, verbose: { type: 'boolean', default: false } },
});
const { verbose } = values;
const nodeCount = Number(values.nodes);

let nodes: NodeProcess[] = [];
let worker: WorkerHost | undefined;
let stopping = false;

async function stop(code: number): Promise<never> {
  stopping = true;
  await Promise.allSettled([worker?.stop(), ...nodes.map((node) => node.stop())]);
  process.exit(code);
}

function fail(message: string): Promise<never> {
  process.stderr.write(`huozi: ${message}\n`);
  return stop(1);
}

function log(line: string): void {
  if (verbose) process.stderr.write(`${line}\n`);
}

/** workerd would report a taken port with a stack trace, after everything else has started. */
function portIsFree(): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

async function start(): Promise<void> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    return fail(`PORT must be a number from 1 to 65535, not ${JSON.stringify(process.env.PORT)}`);
  }
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > 64) {
    return fail(`--nodes takes a number from 1 to 64, not ${JSON.stringify(values.nodes)}`);
  }
  if (!(await portIsFree())) return fail(`port ${port} is in use; set PORT to another one`);

  const secrets = await devSecrets(fileURLToPath(new URL('../../.dev.vars', import.meta.url)));
  // One thread each where several share the machine: those of llama.cpp spin while they wait.
  const args = nodeCount > 1 ? ['--threads', '1'] : [];
  nodes = await Promise.all(
    Array.from({ length: nodeCount }, () => startNode(secrets.NODE_TOKEN, args, log)),
  );
  for (const [index, node] of nodes.entries()) {
    process.stdout.write(`node ${index + 1} pid ${node.pid} ${node.url}\n`);
    node.process.once('exit', (code, signal) => {
      if (stopping) return;
      const left = nodes.filter(
        ({ process: { exitCode, signalCode } }) => exitCode === null && signalCode === null,
      );
      if (left.length === 0) void fail(`the last node ended (${signal ?? code}); --verbose shows its log`);
      process.stdout.write(`node ${index + 1} ended (${signal ?? code}); its answers go on elsewhere\n`);
    });
  }
  process.stdout.write('\n');
  worker = await startWorker({
    port,
    bindings: { ...secrets, NODE_URLS: nodes.map(({ url }) => url).join(',') },
    // One a port: two workerds must not write to the same files.
    stateDirectory: fileURLToPath(new URL(`../../.wrangler/state/start-${port}`, import.meta.url)),
    onLog: log,
  });

  const apiKey = await developmentKey(worker.url, secrets.ADMIN_TOKEN);
  await ask(`${worker.url}/v1`, apiKey);
  introduce(worker.url, apiKey, secrets.ADMIN_TOKEN);
}

async function ask(baseURL: string, apiKey: string): Promise<void> {
  const huozi = new Huozi({ baseURL, apiKey });
  process.stdout.write(`用户  ${question}\n助手  `);
  const stream = await huozi.chat.completions.create({
    model: 'huozi',
    messages: [{ role: 'user', content: question }],
    temperature: 0,
    max_tokens: 128,
    stream: true,
  });
  for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
}

function introduce(url: string, key: string, adminToken: string): void {
  const body = JSON.stringify({
    model: 'huozi',
    messages: [{ role: 'user', content: question }],
    temperature: 0,
    stream: true,
  });
  process.stdout.write(`

url   ${url}/v1
key   ${key}
admin ${adminToken}
page  ${url}/#key=${key}

curl -N ${url}/v1/chat/completions \\
  -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\
  -d '${body}'

Ctrl-C stops everything.
ready ${url} ${key}
`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second Ctrl-C does not wait for anything.
    if (stopping) process.exit(130);
    void stop(0);
  });
}

start().catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));
