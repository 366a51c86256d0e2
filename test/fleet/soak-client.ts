/** One client of the soak: what it does with an answer, and what it was told of it. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TestFleet } from './fleet.ts';

/** Streams are read to their end most of the time; the rest in one piece, left, stopped, or cut and resumed. */
export const kinds = [
  'stream',
  'stream',
  'whole',
  'leave',
  'leave at once',
  'resume',
  'resume',
  'stop',
] as const;
export type Kind = (typeof kinds)[number];

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

/** An answer as it is when nothing happens. */
export interface Truth {
  prompt: string;
  text: string;
  usage: Usage;
}

export interface Asked {
  requestId: string;
  text: string;
  /** Chunks with text: no more than its tokens. */
  tokens: number;
  done: boolean;
  usage: Usage | undefined;
  error: string | undefined;
  /** By the client's own will. */
  left: boolean;
}

const heldOut = fileURLToPath(new URL('../../gpu-backend/models/huozi-tiny/heldout.jsonl', import.meta.url));

/** Half of them have the longest answers that the model knows: there a node is more likely to be lost amid one. */
export function prompts(count: number): string[] {
  const lines = readFileSync(heldOut, 'utf8').trim().split('\n');
  const questions = lines.flatMap((line) => {
    const { messages } = JSON.parse(line) as { messages: { content: string }[] };
    const [question, answer] = messages;
    return messages.length === 2 ? [{ question: question!.content, length: answer!.content.length }] : [];
  });
  const long = questions.toSorted((a, b) => b.length - a.length).slice(0, count >> 1);
  const step = Math.floor(questions.length / (count - long.length));
  const mixed = questions.filter((_, at) => at % step === 0).slice(0, count - long.length);
  return [...long, ...mixed].map(({ question }) => question);
}

export async function ask(
  { baseURL, apiKey }: Pick<TestFleet, 'baseURL' | 'apiKey'>,
  kind: Kind,
  { prompt }: Pick<Truth, 'prompt'>,
): Promise<Asked> {
  const requestId = randomBytes(12).toString('hex');
  const told: Asked = {
    requestId,
    text: '',
    tokens: 0,
    done: false,
    usage: undefined,
    error: undefined,
    left: kind.startsWith('leave') || kind === 'stop',
  };
  const headers = { authorization: `Bearer ${apiKey}`, 'x-request-id': requestId };
  const leave = new AbortController();
  const stream = kind !== 'whole';
  const resumable = kind === 'resume' || kind === 'stop';
  const asked = fetch(`${baseURL}/chat/completions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'huozi',
      messages: [{ role: 'user', content: prompt }],
      temperature: 0,
      stream,
      ...(stream && { stream_options: { include_usage: true } }),
      ...(resumable && { resumable }),
    }),
    signal: leave.signal,
  });
  if (kind === 'leave at once') {
    // The worker has it by then, which counts it.
    await new Promise((resolve) => setTimeout(resolve, 200 * Math.random() + 100));
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
  const cutAfter = () => (kind === 'stream' ? Number.POSITIVE_INFINITY : Math.floor(12 * Math.random()));
  let last = await read(response, cutAfter(), leave, told);
  if (kind === 'stop') await fetch(url, { method: 'DELETE', headers }).then((answer) => answer.text());
  for (let cuts = 0; kind === 'resume' && !told.done && !told.error; cuts++) {
    const again = new AbortController();
    const rest = await fetch(url, {
      headers: { ...headers, 'last-event-id': String(last), 'x-request-id': `${requestId}-${cuts}` },
      signal: again.signal,
    }).catch(() => undefined);
    // A kept connection may have been closed as it was taken up again: whoever resumes tries once more.
    if (!rest) continue;
    if (!rest.ok || rest.status === 204)
      throw new Error(`resuming after ${last} gave ${rest.status} ${await rest.text()}`);
    last = await read(rest, cuts < 4 ? cutAfter() : Number.POSITIVE_INFINITY, again, told, last);
    // No node was left: it says that it can be asked again.
    if (told.error === 'stream_interrupted') {
      told.error = undefined;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  return told;
}

interface Whole {
  choices?: { message: { content: string } }[];
  usage?: Usage;
  error?: { code: string };
}

/** Reads so many events, or all. @returns the last event's number, where they have numbers */
async function read(
  response: Response,
  events: number,
  leave: AbortController,
  told: Asked,
  lastBefore = 0,
): Promise<number> {
  let last = lastBefore;
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
        last = Number(/^id: (\d+)$/m.exec(event)?.[1] ?? last);
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
  return last;
}

function take(event: string, told: Asked): void {
  const data = /^data: (.*)$/m.exec(event)![1]!;
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
