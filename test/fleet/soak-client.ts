/** One client of the soak: what it does with an answer, and what it was told of it. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TestFleet } from './fleet.ts';

/**
 * Streams are read to their end most of the time; the rest in one piece, left, stopped, or cut and resumed, some of
 * these as responses in the background.
 */
export const kinds = [
  'stream',
  'stream',
  'whole',
  'leave',
  'leave at once',
  'resume',
  'resume',
  'background',
  'stop',
] as const;
export type Kind = (typeof kinds)[number];

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

export interface Question {
  prompt: string;
  sampling: { temperature: number; top_p?: number; seed?: number };
}

/** An answer as it is when nothing happens. */
export interface Truth extends Question {
  text: string;
  ids: number[];
  usage: Usage;
}

export interface Asked {
  kind: Kind;
  requestId: string;
  text: string;
  /** Token ids, which stand in the events of streams that cannot be resumed. */
  ids: number[];
  /** Chunks with text: no more than its tokens. */
  tokens: number;
  /** Number of the last event, where they have numbers. */
  last: number;
  done: boolean;
  usage: Usage | undefined;
  error: string | undefined;
  /** By the client's own will. */
  left: boolean;
  /** What stood in the stream that cannot stand there, in words. */
  faults: string[];
  /** Requests sent again, because the kept connection they went out on was closed before any answer. */
  reconnects: number;
}

const heldOut = fileURLToPath(new URL('../../gpu-backend/models/huozi-tiny/heldout.jsonl', import.meta.url));

/**
 * Half of them have the longest answers that the model knows: there a node is more likely to be lost amid one. Every
 * other one is sampled, from a seed of its own.
 */
export function questions(count: number): Question[] {
  const lines = readFileSync(heldOut, 'utf8').trim().split('\n');
  const known = lines.flatMap((line) => {
    const { messages, answer } = JSON.parse(line) as { messages: { content: string }[]; answer: string };
    const [question, more] = messages;
    return more ? [] : [{ question: question!.content, length: answer.length }];
  });
  const long = known.toSorted((a, b) => b.length - a.length).slice(0, count >> 1);
  const step = Math.floor(known.length / (count - long.length));
  const mixed = known.filter((_, at) => at % step === 0).slice(0, count - long.length);
  return [...long, ...mixed].map(({ question }, at) => ({
    prompt: question,
    sampling: at % 2 === 0 ? { temperature: 0 } : { temperature: 0.8, top_p: 0.9, seed: at },
  }));
}

export type Edge = Pick<TestFleet, 'baseURL' | 'apiKey'>;

export async function ask(edge: Edge, kind: Kind, question: Question, told = nothing(kind)): Promise<Asked> {
  const { baseURL, apiKey } = edge;
  const headers = { authorization: `Bearer ${apiKey}`, 'x-request-id': told.requestId };
  const leave = new AbortController();
  const stream = kind !== 'whole';
  const resumable = kind === 'resume' || kind === 'stop';
  const asked = send(told, `${baseURL}/chat/completions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'huozi',
      messages: [{ role: 'user', content: question.prompt }],
      ...question.sampling,
      stream,
      ...(stream && { stream_options: { include_usage: true } }),
      ...(resumable && { resumable }),
    }),
    signal: leave.signal,
  });
  if (kind === 'leave at once') {
    await new Promise((resolve) => setTimeout(resolve, 300 * Math.random()));
    leave.abort();
    await asked.then((response) => response.text()).catch(() => undefined);
    return told;
  }
  const response = await asked;
  if (!stream || !response.ok) {
    const { choices, usage, error } = (await response.json()) as Whole;
    told.error = error?.code;
    told.text = choices?.[0]?.message.content ?? '';
    told.usage = usage;
    told.done = choices !== undefined;
    return told;
  }
  const url = new URL(response.headers.get('x-huozi-stream') ?? '', baseURL).href;
  const cutAfter = () => (kind === 'stream' ? Number.POSITIVE_INFINITY : anyCut());
  const follow = async (events: number) => {
    const again = new AbortController();
    const rest = await send(told, url, {
      headers: { ...headers, 'last-event-id': String(told.last) },
      signal: again.signal,
    });
    if (rest.status === 204) return false;
    if (!rest.ok) throw new Error(`resuming after ${told.last} gave ${rest.status} ${await rest.text()}`);
    await read(rest, events, again, told);
    return true;
  };
  await read(response, cutAfter(), leave, told);
  if (kind === 'stop') await stop(told, url, headers, follow);
  if (kind !== 'resume') return told;
  for (let cuts = 0; !told.done && !told.error; cuts++) {
    const more = await follow(cuts < 4 ? cutAfter() : Number.POSITIVE_INFINITY);
    if (!more) told.faults.push(`it was over after event ${told.last}, but [DONE] has not been told`);
    if (!more) break;
    // No node was left: it says that it can be asked again.
    if (told.error === 'stream_interrupted') {
      told.error = undefined;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  if (told.done) await readAgain(told, url, headers);
  return told;
}

export function nothing(kind: Kind): Asked {
  return {
    kind,
    requestId: randomBytes(12).toString('hex'),
    text: '',
    ids: [],
    tokens: 0,
    last: 0,
    done: false,
    usage: undefined,
    error: undefined,
    left: kind.startsWith('leave') || kind === 'stop',
    faults: [],
    reconnects: 0,
  };
}

/** After how many events a client loses its connection. */
export const anyCut = () => Math.floor(12 * Math.random());

/** Stops it, and reads what had been told until then: it ends in the word that it was stopped, or was over before. */
async function stop(
  told: Asked,
  url: string,
  headers: Record<string, string>,
  follow: (events: number) => Promise<boolean>,
): Promise<void> {
  const answer = await send(told, url, { method: 'DELETE', headers });
  const { status } = (await answer.json()) as { status?: string };
  if (!told.done && !told.error) await follow(Number.POSITIVE_INFINITY);
  const asItSays = status === 'cancelled' ? told.error === 'generation_cancelled' : told.done;
  if (!asItSays) told.faults.push(`stopped: ${status}, but ${told.error ?? (told.done ? 'done' : 'no end')}`);
  if (told.error === 'generation_cancelled') told.error = undefined;
}

/** An answer that is over is told once more, all of it. */
async function readAgain(told: Asked, url: string, headers: Record<string, string>): Promise<void> {
  const again = nothing('resume');
  const response = await send(told, `${url}?after=0`, { headers });
  await read(response, Number.POSITIVE_INFINITY, new AbortController(), again);
  const differs = again.text !== told.text || again.last !== told.last || !again.done || again.error;
  if (differs) told.faults.push(`read again: ${JSON.stringify(again)}`);
}

/**
 * A kept connection may be closed by the server just as it is taken up again, which fails before there is any answer:
 * it is asked again, as every client does. That the first request was not heard shows in the edge's log, where each
 * request id may be counted once.
 */
export async function send(told: Asked, url: string, init: RequestInit): Promise<Response> {
  for (;;) {
    try {
      return await fetch(url, init);
    } catch (error) {
      const { code } = ((error as Error).cause ?? {}) as { code?: string };
      const closed = code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
      if (!closed || init.signal?.aborted || told.reconnects >= 3) throw error;
      told.reconnects++;
    }
  }
}

interface Whole {
  choices?: { message: { content: string } }[];
  usage?: Usage;
  error?: { code: string };
}

/** Reads so many events, or all. */
export async function read(
  response: Response,
  events: number,
  leave: AbortController,
  told: Asked,
  take: (event: string, told: Asked) => void = takeChunk,
): Promise<void> {
  let rest = '';
  let seen = 0;
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body!) {
      rest += decoder.decode(bytes, { stream: true });
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
        const event = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (seen >= events) break;
        if (!/^data: /m.test(event)) continue;
        take(event, told);
        seen++;
      }
      if (seen >= events && !told.done) {
        leave.abort();
        break;
      }
    }
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  }
}

function takeChunk(event: string, told: Asked): void {
  const data = /^data: (.*)$/m.exec(event)![1]!;
  const number = /^id: (\d+)$/m.exec(event)?.[1];
  if (told.done) told.faults.push(`after [DONE]: ${event}`);
  const ids = /^: ids ([\d,]+)$/m.exec(event)?.[1];
  if (ids) told.ids.push(...ids.split(',').map(Number));
  if (told.kind === 'resume' || told.kind === 'stop') {
    // An error that does not end the answer has no number, nor has one after which nothing is resumed.
    const due = told.last + 1;
    if (number === undefined ? !data.startsWith('{"error":') : Number(number) !== due)
      told.faults.push(`event ${number} came in the place of ${due}`);
    told.last = Number(number ?? told.last);
  } else if (number !== undefined && Number(number) !== told.ids.length) {
    told.faults.push(`${number} tokens are told, but ${told.ids.length} ids`);
  }
  if (data === '[DONE]') {
    told.done = true;
    return;
  }
  const chunk = JSON.parse(data) as {
    choices?: { delta: { content?: string } }[];
    usage?: Usage | null;
    error?: { code: string };
  };
  const text = chunk.choices?.[0]?.delta.content ?? '';
  if (text !== '') told.tokens++;
  told.text += text;
  told.usage = chunk.usage ?? told.usage;
  told.error ??= chunk.error?.code;
}

/** What is wrong with what a client was told; undefined: nothing. */
export function faultOf(told: Asked, truth: Truth): string | undefined {
  const { text, ids, usage } = truth;
  if (told.faults.length > 0) return told.faults.join('; ');
  if (told.error) return `error ${told.error}`;
  if (!text.startsWith(told.text)) return `text: ${told.text} instead of ${text}`;
  if (told.ids.some((id, at) => id !== ids[at])) return `ids: ${told.ids} instead of ${ids}`;
  if (told.left && !told.done) return undefined;
  if (told.text !== text) return `it ends early: ${told.text} instead of ${text}`;
  if (told.kind === 'stream' && told.ids.length !== ids.length)
    return `${told.ids.length} ids of ${ids.length}`;
  if (!told.done) return 'no end';
  return isSame(told.usage, usage)
    ? undefined
    : `usage ${JSON.stringify(told.usage)}, not ${JSON.stringify(usage)}`;
}

export function isSame(one: Usage | undefined, other: Usage): boolean {
  return one?.prompt_tokens === other.prompt_tokens && one.completion_tokens === other.completion_tokens;
}

/**
 * How sure the model was of the token at which `told` leaves the truth, in nats above the next best: near 0 rounding
 * may have decided it. Undefined where it does not leave it.
 */
export async function marginAt(
  { baseURL, apiKey }: Edge,
  told: Asked,
  truth: Truth,
): Promise<number | undefined> {
  let common = 0;
  while (common < told.text.length && told.text[common] === truth.text[common]) common++;
  if (common === told.text.length) return undefined;
  const response = await fetch(`${baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'huozi',
      messages: [{ role: 'user', content: truth.prompt }],
      ...truth.sampling,
      logprobs: true,
      top_logprobs: 2,
    }),
  });
  const { choices } = (await response.json()) as {
    choices: { logprobs: { content: { token: string; top_logprobs: { logprob: number }[] }[] } }[];
  };
  let length = 0;
  for (const { token, top_logprobs } of choices[0]!.logprobs.content) {
    length += token.length;
    if (length > common) return top_logprobs[0]!.logprob - top_logprobs[1]!.logprob;
  }
  return undefined;
}
