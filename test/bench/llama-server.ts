/** llama.cpp's own server, started for a benchmark and asked by token ids. `LLAMA_SERVER` names its binary. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';

export interface LlamaServer {
  /** One greedy answer past every end, streamed; settles at its last byte. */
  complete(ids: Int32Array, tokens: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startLlamaServer(
  binary: string,
  model: string,
  { threads, slots, contextTokens }: { threads: number; slots: number; contextTokens: number },
): Promise<LlamaServer> {
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const child = spawn(
    binary,
    [
      ...['--model', model, '--host', '127.0.0.1', '--port', String(port)],
      ...['--threads', String(threads), '--threads-batch', String(threads)],
      ...['--parallel', String(slots), '--ctx-size', String(contextTokens), '--kv-unified'],
      ...['--batch-size', '512', '--no-webui', '--log-disable'],
    ],
    { stdio: 'ignore' },
  );
  const url = `http://127.0.0.1:${port}`;
  for (let ready = false; !ready; ) {
    if (child.exitCode !== null) throw new Error(`llama-server ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    ready = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  return {
    complete: (ids, tokens) =>
      new Promise((resolve, reject) => {
        const headers = { 'content-type': 'application/json' };
        const call = request(`${url}/completion`, { method: 'POST', agent, headers }, (response) => {
          response.resume();
          response.on('end', () => {
            if (response.statusCode === 200) resolve();
            else reject(new Error(`llama-server answered ${response.statusCode}`));
          });
        });
        call.on('error', reject);
        const sampling = { temperature: 0, n_predict: tokens, ignore_eos: true, cache_prompt: false };
        call.end(JSON.stringify({ prompt: Array.from(ids), ...sampling, stream: true }));
      }),
    async stop() {
      agent.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
