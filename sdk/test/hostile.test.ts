/** Ours must be right in every scenario; openai's client goes through the same ones, for the record. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Huozi, HuoziError } from '../src/index.ts';
import { text } from './answers.ts';
import { hostileServer, type Try } from './hostile-server.ts';
import { type Scenario, scenarios } from './scenarios.ts';

interface Outcome {
  text: string;
  /** `whole`, `waits`, `left`, or the error's name. */
  end: string;
  error?: unknown;
  tries: Try[];
  /** Of the connections that the server had, those that the client closed. */
  sawLeave: boolean;
}

type Chunks = AsyncIterable<{ choices: { delta?: { content?: string | null } }[] }>;
type Client = (baseURL: string, signal: AbortSignal) => Promise<Chunks>;

const body = {
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '你好' }],
  stream: true as const,
};

/** Here somebody has to lose patience; everywhere else a slow machine must not look like a stall. */
const stalls: readonly Scenario[] = [
  'silent stall',
  'stall with keep-alives',
  'no headers',
  'headers, then no token',
];

const ours = (deadline: number): Client => {
  const deadlines = { connect: deadline, firstToken: deadline, idle: deadline };
  return (baseURL, signal) =>
    new Huozi({ baseURL, apiKey: 'k', deadlines }).chat.completions.create(body, { signal });
};

const peer = (timeout: number): Client => {
  return (baseURL, signal) =>
    new OpenAI({ baseURL, apiKey: 'k', timeout, logLevel: 'off' }).chat.completions.create(body, { signal });
};

async function go(client: (deadline: number) => Client, scenario: Scenario): Promise<Outcome> {
  const deadline = stalls.includes(scenario) ? 300 : 20_000;
  // Whoever still waits after that waits for ever: openai sleeps through a Retry-After of any length.
  const patience = stalls.includes(scenario) || scenario === 'Retry-After: 90' ? 4000 : 25_000;
  const server = await hostileServer(scenarios[scenario]);
  const giveUp = new AbortController();
  const tooLong = new Promise<void>((resolve) => giveUp.signal.addEventListener('abort', () => resolve()));
  const timer = setTimeout(() => giveUp.abort(), patience);
  const outcome: Outcome = { text: '', end: 'waits', tries: server.tries, sawLeave: false };

  async function read(): Promise<void> {
    for await (const { choices } of await client(deadline)(server.baseURL, giveUp.signal)) {
      outcome.text += choices[0]?.delta?.content ?? '';
      if (scenario === 'break') {
        outcome.end = 'left';
        break;
      }
    }
    if (outcome.end !== 'left' && !giveUp.signal.aborted) outcome.end = 'whole';
  }

  const reading = read().catch((error: Error) => {
    if (giveUp.signal.aborted) return;
    outcome.end = error.constructor.name;
    outcome.error = error;
  });
  // openai sleeps through its signal between tries.
  await Promise.race([reading, tooLong]);
  if (scenario === 'break') {
    const left = server.tries[0]!.left.then(() => {
      outcome.sawLeave = true;
    });
    await Promise.race([left, tooLong]);
  }
  clearTimeout(timer);
  await server.close();
  return outcome;
}

const wanted: Record<Scenario, Partial<Outcome> & { code?: string; tryCount?: number }> = {
  comments: { end: 'whole', text },
  'torn CRLF': { end: 'whole', text },
  'torn UTF-8': { end: 'whole', text },
  'no space after the colon': { end: 'whole', text },
  'empty data: keep-alive': { end: 'whole', text },
  'last event lacks its blank line': { end: 'whole', text },
  'error mid-stream': { end: 'ServerError', text: '你好', code: 'node_lost' },
  'malformed JSON chunk': { end: 'ProtocolError', text: '你好' },
  'clean EOF with no finish_reason': { end: 'TruncatedError', text },
  '[DONE] with no finish_reason': { end: 'TruncatedError', text: '你好' },
  'socket dies mid-stream': { end: 'ConnectionError', text: '你好' },
  'chunked body cut short': { end: 'ConnectionError', text: '你好' },
  'silent stall': { end: 'TimeoutError', text: '你好', code: 'idle' },
  'stall with keep-alives': { end: 'TimeoutError', text: '你好', code: 'idle' },
  'no headers': { end: 'TimeoutError', code: 'connect', tryCount: 3 },
  'headers, then no token': { end: 'TimeoutError', code: 'firstToken', tryCount: 3 },
  'permanent 503': { end: 'ServerError', code: 'overloaded', tryCount: 3 },
  'Retry-After: 90': { end: 'RateLimitError', tryCount: 1 },
  break: { end: 'left', text: '你好', sawLeave: true },
  'idempotency key': { end: 'whole', text, tryCount: 3 },
};

const record = new Map<Scenario, string>();

// No jitter, so that three tries take no time.
beforeAll(() => void vi.spyOn(Math, 'random').mockReturnValue(0));

test.concurrent.each(Object.keys(scenarios) as Scenario[])('%s', async (scenario) => {
  const [got, theirs] = await Promise.all([go(ours, scenario), go(peer, scenario)]);
  record.set(scenario, `| ${scenario} | ${told(got)} | ${told(theirs)} |`);

  const { code, tryCount = 1, ...rest } = wanted[scenario];
  expect(got).toMatchObject(rest);
  expect(got.tries).toHaveLength(tryCount);
  if (rest.end === 'whole' || rest.end === 'left') expect(got.error).toBeUndefined();
  else expect(HuoziError.isInstance(got.error)).toBe(true);
  if (code) expect(got.error).toMatchObject({ code });
  expect(new Set(got.tries.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
});

afterAll(() => {
  vi.restoreAllMocks();
  const rows = Object.keys(scenarios).map((scenario) => record.get(scenario as Scenario));
  process.stdout.write(`\n| scenario | huozi | openai 6.49 |\n|---|---|---|\n${rows.join('\n')}\n\n`);
});

function told({ end, tries, text, sawLeave }: Outcome): string {
  const keys = new Set(tries.map(({ headers }) => headers['idempotency-key']));
  const times = tries.length > 1 ? `, ${tries.length} tries` : '';
  const key = tries.length > 1 ? (keys.has(undefined) ? ', no key' : `, ${keys.size} key`) : '';
  const left = end === 'left' ? (sawLeave ? ', closed' : ', left open') : '';
  return `${end}${text ? ` after ${text}` : ''}${times}${key}${left}`;
}
