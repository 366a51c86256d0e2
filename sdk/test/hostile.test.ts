/** Ours must be right in every scenario; openai's client goes through the same ones, for the record. */
import { mkdir, writeFile } from 'node:fs/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Huozi, HuoziError } from '../src/index.ts';
import { hostileServer, type Try } from './hostile-server.ts';
import { deadlinesOf, stalls, wanted } from './portable.ts';
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
type Client = (scenario: Scenario, baseURL: string, signal: AbortSignal) => Promise<Chunks>;

const body = {
  model: 'huozi',
  messages: [{ role: 'user' as const, content: '你好' }],
  stream: true as const,
};

const ours: Client = (scenario, baseURL, signal) =>
  new Huozi({ baseURL, apiKey: 'k', deadlines: deadlinesOf(scenario, 300) }).chat.completions.create(body, {
    signal,
  });

const peer: Client = (scenario, baseURL, signal) => {
  const timeout = scenario in stalls ? 300 : 20_000;
  return new OpenAI({ baseURL, apiKey: 'k', timeout, logLevel: 'off' }).chat.completions.create(body, {
    signal,
  });
};

/** @param tries that have to reach the server before it closes: what is sent on leaving may be on its way yet */
async function go(client: Client, scenario: Scenario, tries = 1): Promise<Outcome> {
  // Whoever still waits after that waits for ever: openai sleeps through a Retry-After of any length.
  const patience = scenario in stalls || scenario === 'Retry-After: 90' ? 4000 : 25_000;
  const server = await hostileServer(scenarios[scenario]);
  const giveUp = new AbortController();
  const tooLong = new Promise<void>((resolve) => giveUp.signal.addEventListener('abort', () => resolve()));
  const timer = setTimeout(() => giveUp.abort(), patience);
  const outcome: Outcome = { text: '', end: 'waits', tries: server.tries, sawLeave: false };

  async function read(): Promise<void> {
    for await (const { choices } of await client(scenario, server.baseURL, giveUp.signal)) {
      outcome.text += choices[0]?.delta?.content ?? '';
      if (scenario.endsWith('break')) {
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
  if (scenario.endsWith('break')) {
    const left = server.tries[0]!.left.then(() => {
      outcome.sawLeave = true;
    });
    await Promise.race([left, tooLong]);
  }
  await Promise.race([server.tried(tries), tooLong]);
  clearTimeout(timer);
  await server.close();
  return outcome;
}

const record = new Map<Scenario, string>();

// No jitter, so that three tries take no time.
beforeAll(() => void vi.spyOn(Math, 'random').mockReturnValue(0));

test.concurrent.each(Object.keys(scenarios) as Scenario[])('%s', async (scenario) => {
  const want = wanted[scenario]!;
  const [got, theirs] = await Promise.all([go(ours, scenario, want.tries), go(peer, scenario)]);
  record.set(scenario, `| ${scenario} | ${told(got)} | ${told(theirs)} |`);

  const { code } = Object(got.error) as { code?: string };
  expect([got.end, code].filter(Boolean).join(' ')).toBe(want.end);
  expect(got.text).toBe(want.text);
  expect(got.tries).toHaveLength(want.tries ?? 1);
  expect(got.sawLeave).toBe(scenario.endsWith('break'));
  expect(HuoziError.isInstance(got.error)).toBe(want.end !== 'whole' && want.end !== 'left');
  expect(new Set(got.tries.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
});

afterAll(async () => {
  vi.restoreAllMocks();
  const rows = Object.keys(scenarios).map((scenario) => record.get(scenario as Scenario));
  const table = `| scenario | huozi | openai 6.49 |\n|---|---|---|\n${rows.join('\n')}\n`;
  process.stdout.write(`\n${table}\n`);
  // Kept beside other runs' artefacts; a copy of a run stands in test/peers/RESULTS.md.
  const artifacts = new URL('../../test/artifacts/', import.meta.url);
  await mkdir(artifacts, { recursive: true });
  await writeFile(new URL('hostile-streams.md', artifacts), table);
});

function told({ end, tries, text, sawLeave }: Outcome): string {
  const keys = new Set(tries.map(({ headers }) => headers['idempotency-key']));
  const times = tries.length > 1 ? `, ${tries.length} tries` : '';
  const key = tries.length > 1 ? (keys.has(undefined) ? ', no key' : `, ${keys.size} key`) : '';
  const left = end === 'left' ? (sawLeave ? ', closed' : ', left open') : '';
  return `${end}${text ? ` after ${text}` : ''}${times}${key}${left}`;
}
