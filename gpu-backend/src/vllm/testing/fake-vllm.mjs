// Stands for the `vllm` program: `fake-vllm.mjs serve MODEL … --uds PATH`. Answers what the node asks at its start, and
// one token a completion. FAKE_VLLM=fails ends it before it listens, with the words of an error; FAKE_VLLM=workers gives it
// a child that ends with nothing but a signal, and both their process ids stand in its output.
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

const args = process.argv.slice(2);
if (process.env.FAKE_VLLM_ARGS) appendFileSync(process.env.FAKE_VLLM_ARGS, `${JSON.stringify(args)}\n`);
if (process.env.FAKE_VLLM === 'fails') {
  process.stderr.write('loading\nValueError: no such weights\nlast line\n');
  process.exit(3);
}
if (process.env.FAKE_VLLM === 'workers') {
  const worker = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  process.stdout.write(`pids ${process.pid} ${worker.pid}\n`);
}
const answers = {
  '/health': '',
  '/version': '{"version":"0.32.0"}',
  '/metrics': '',
  '/v1/models': '{"data":[{"id":"huozi","max_model_len":4096}]}',
};
const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  if (request.url in answers) return response.end(answers[request.url]);
  const body = JSON.parse(Buffer.concat(parts).toString());
  if (!body.stream) return response.end('{}');
  const choice = { index: 0, text: '', finish_reason: 'stop', token_ids: body.stop_token_ids.slice(-1) };
  response.end(`data: ${JSON.stringify({ choices: [choice] })}\n\ndata: [DONE]\n\n`);
});
process.on('SIGTERM', () => process.exit(0));
server.listen(args[args.indexOf('--uds') + 1], () => process.stdout.write('listening\n'));
