/**
 * `npm run test:python [-- PYTHON]`: the Python examples of gpu-backend/examples/openai-api, as they stand, before the
 * real edge and node. PYTHON is one that has `openai` and `gradio`.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startStack } from '../stack.ts';

const folder = fileURLToPath(new URL('../../gpu-backend/examples/openai-api/', import.meta.url));
const python = process.argv[2] ?? 'python3';
const run = promisify(execFile);
const poem = '床前明月光';

/** Asks the page's own API, as its page does, and prints each state of the answer. */
const askGradio = `
import sys
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
job = client.submit("背诵《静夜思》", api_name="/predict")
print(job.result())
print(len(job.outputs()))
print(client.predict("再背一遍", api_name="/predict"))
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

const stack = await startStack();
const env = {
  ...process.env,
  HUOZI_BASE_URL: stack.baseURL,
  HUOZI_API_KEY: stack.apiKey,
  GRADIO_ANALYTICS_ENABLED: 'False',
  GRADIO_SERVER_PORT: `${await freePort()}`,
  PYTHONUNBUFFERED: '1',
};
let failed = 0;

function check(what: string, isRight: boolean, seen: string): void {
  if (!isRight) failed++;
  process.stdout.write(`${isRight ? 'ok' : 'FAILED'}: ${what}${isRight ? '' : `\n${seen}`}\n`);
}

try {
  const { stdout } = await run(python, [`${folder}openai-client.py`, '背诵《静夜思》'], { env });
  check('openai-client.py', stdout.startsWith('Chat response: ') && stdout.includes(poem), stdout);

  const page = spawn(python, [`${folder}openai-client-gradio.py`], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let said = '';
      page.stdout.on('data', (bytes) => {
        said += bytes;
        const found = /https?:\/\/127\.0\.0\.1:\d+/.exec(said);
        if (found) resolve(found[0]);
      });
      page.once('exit', () => reject(new Error(`gradio ended: ${said}`)));
    });
    const asked = await run(python, ['-c', askGradio, url], { env });
    const [answer = '', states = '0'] = asked.stdout.split('\n');
    check('openai-client-gradio.py', answer.length > 5, asked.stdout);
    check('it streams', Number(states) > 2, asked.stdout);
  } finally {
    page.kill();
  }
} finally {
  await stack.stop();
}
process.exitCode = failed > 0 ? 1 : 0;
