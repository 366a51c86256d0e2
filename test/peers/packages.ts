/**
 * `npm run test:packages`: both packages, packed and installed from npm's registry into an empty project, as a stranger
 * does it: their programs start, their types hold, and the node of the tarball serves the model that it brings.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const project = await mkdtemp(join(tmpdir(), 'huozi-packages-'));
const bin = (name: string) => join(project, 'node_modules/.bin', name);
let passed = 0;

function done(what: string): void {
  passed++;
  process.stdout.write(`ok: ${what}\n`);
}

async function pack(folder: string): Promise<string> {
  const args = ['pack', join(root, folder), '--json', '--pack-destination', project];
  const { stdout } = await run('npm', args, { cwd: project, maxBuffer: 2 ** 26 });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  return `./${filename}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

try {
  const tarballs = [await pack('sdk'), await pack('gpu-backend')];
  await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
  await run(
    'npm',
    ['install', '--no-audit', '--no-fund', ...tarballs, 'typescript@6.0.3', '@types/node@20'],
    {
      cwd: project,
    },
  );
  done('both install into an empty project');

  for (const name of ['huozi', 'huozi-gpu-backend']) await run(bin(name), ['--help'], { cwd: project });
  done('both programs start');

  await writeFile(
    join(project, 'program.ts'),
    `import { Huozi, type ChatStream } from 'huozi';
    import { runTools } from 'huozi/tools';
    import * as node from 'huozi-gpu-backend';
    import type { GenerateRequest } from 'huozi-gpu-backend/protocol';
    const huozi = new Huozi({ baseURL: '/v1', apiKey: 'k' });
    export const stream: Promise<ChatStream> = huozi.chat.completions.create({ model: 'huozi', messages: [], stream: true });
    export const all: [typeof runTools, typeof node, GenerateRequest?] = [runTools, node];`,
  );
  const compiler = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--skipLibCheck',
    'program.ts',
  ];
  await run(bin('tsc'), compiler, { cwd: project });
  done('their types hold under nodenext');

  const port = await freePort();
  const model = join(project, 'node_modules/huozi-gpu-backend/models/huozi-tiny/huozi-tiny-q8_0.gguf');
  const serve = ['serve', '--model', model, '--port', `${port}`, '--threads', '1'];
  const node = spawn(bin('huozi-gpu-backend'), serve, {
    cwd: project,
    env: {
      ...process.env,
      NODE_TOKEN: 'a-token-of-the-packed-node',
      HUOZI_NODE_TOKEN: 'a-token-of-the-packed-node',
    },
    stdio: 'ignore',
  });
  try {
    for (let tries = 0; ; tries++) {
      const health = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
      if (health) break;
      if (tries > 200 || node.exitCode !== null) throw new Error('the node of the tarball did not start');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    done('the node of the tarball serves its model');
  } finally {
    node.kill();
  }
} finally {
  await rm(project, { recursive: true, force: true });
}
process.stdout.write(`${passed} passed, 0 failed\n`);
