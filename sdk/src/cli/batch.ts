/** `huozi batch in.jsonl out.jsonl`: many requests, some at a time; after a crash it goes on. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { Huozi } from '../client.ts';
import { HuoziError } from '../errors.ts';
import { requestJson } from '../requester.ts';
import {
  type BatchRequest,
  type BatchResult,
  checkRequests,
  isDone,
  openResults,
  readRequests,
} from './batch-file.ts';
import { clientOf, clientOptions, numberOf, parse } from './client.ts';
import { Crew, isHopeless } from './crew.ts';
import { progressBar, say, UsageError } from './terminal.ts';

export const help = `huozi batch IN.jsonl OUT.jsonl [--concurrency 4]

Lines are OpenAI's: {"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{…}}. Answers are written as
they come. Run the same again after a crash, or for what failed: answers that are there are not asked for twice.

  --concurrency N         requests under way at once
  --base-url URL          --json   (a summary as JSON)`;

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, {
    ...clientOptions,
    concurrency: { type: 'string', short: 'c' },
  });
  const [input, output, ...more] = positionals;
  if (!input || !output || more.length > 0) throw new UsageError('huozi batch IN.jsonl OUT.jsonl');
  const concurrency = numberOf('--concurrency', values.concurrency ?? '4');
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new UsageError('--concurrency is at least 1');
  if (resolve(input) === resolve(output)) throw new UsageError('IN and OUT are the same file');

  const total = await checkRequests(input);
  const huozi = clientOf(values);
  const { file, done } = await openResults(output);
  const before = done.size;
  const bar = progressBar(total);
  const counts = { answered: before, failed: 0, tokens: 0 };
  const from = performance.now();

  const crew = new Crew();

  const show = () => {
    const seconds = (performance.now() - from) / 1000;
    const failed = counts.failed ? `, ${counts.failed} failed` : '';
    bar.at(counts.answered + counts.failed, `${Math.round(counts.tokens / seconds)} tok/s${failed}`);
  };

  const requests = readRequests(input);
  async function work(): Promise<void> {
    for (;;) {
      // The generator gives its lines one after another, however many workers ask.
      const { done: isOver, value: request } = await requests.next();
      if (isOver || crew.signal.aborted) return;
      if (done.has(request.id)) continue;
      const { result, error } = await answer(huozi, request, resolve(output!), crew.signal);
      if (error?.name === 'AbortError') return;
      if (isHopeless(error)) return crew.giveUp(error);
      await file.write(`${JSON.stringify(result)}\n`);
      if (isDone(result)) counts.answered++;
      else counts.failed++;
      counts.tokens += tokensOf(result);
      show();
    }
  }

  show();
  await crew.run(concurrency, work, file, bar);
  const left = total - counts.answered - counts.failed;
  if (values.json) say(JSON.stringify({ total, ...counts, already: before, left }));
  else {
    say(
      `${counts.answered} of ${total} answered${before ? ` (${before} of them before)` : ''}, ${counts.failed} failed`,
    );
    if (counts.failed || left) say('Run the same command again to go on.');
  }
  return crew.signal.aborted ? 130 : counts.failed ? 1 : 0;
}

async function answer(
  huozi: Huozi,
  { id, path, body, line }: BatchRequest,
  output: string,
  signal: AbortSignal,
): Promise<{ result: BatchResult; error?: HuoziError }> {
  // The same after a crash: what the edge was just answering is then joined and not paid for twice.
  const idempotencyKey = createHash('sha256').update(`${output}\n${line}`).digest('hex');
  const result = { id: `batch_req_${idempotencyKey.slice(0, 24)}`, custom_id: id };
  try {
    const value = await requestJson<object>(huozi.call, path, body, { signal, idempotencyKey });
    const request_id = value._request_id ?? null;
    return { result: { ...result, response: { status_code: 200, request_id, body: value }, error: null } };
  } catch (error) {
    if (!HuoziError.isInstance(error)) throw error;
    const { message, type, code, param, status, requestId = null } = error;
    if (!status)
      return { error, result: { ...result, response: null, error: { code: code ?? type, message } } };
    const response = {
      status_code: status,
      request_id: requestId,
      body: { error: { message, type, param, code } },
    };
    return { error, result: { ...result, response, error: null } };
  }
}

function tokensOf({ response }: BatchResult): number {
  const { usage } = Object(response?.body) as {
    usage?: { completion_tokens?: number; output_tokens?: number };
  };
  return usage?.completion_tokens ?? usage?.output_tokens ?? 0;
}
