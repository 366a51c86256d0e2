/** What a gateway adds to a paced node's answers: to their first byte, to each token, in CPU; and how many it carries. */
import { Agent, request } from 'node:http';
import { cpuSeconds, type Gateway } from './gateways.ts';
import { median } from './load.ts';

interface Streamed {
  /** From sending to the first event with text, ms. */
  ttftMs: number;
  totalMs: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 2_000 });
const text = Buffer.from('"content":"字"');
/** Tokens that have come, over all streams. */
let received = 0;

function stream(to: Gateway, tokens: number, beatMs: number): Promise<Streamed> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    let ttftMs = 0;
    let last = '';
    const call = request(
      to.url,
      { method: 'POST', agent, headers: { ...to.headers, ...to.fresh?.() } },
      (response) => {
        response.on('data', (bytes: Buffer) => {
          for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
            if (ttftMs === 0) ttftMs = performance.now() - begin;
            received++;
          }
          last = bytes.subarray(-200).toString();
        });
        response.on('end', () => {
          const whole = response.statusCode === 200 && ttftMs > 0 && last.includes('[DONE]');
          if (whole) resolve({ ttftMs, totalMs: performance.now() - begin });
          else reject(new Error(`${to.name} answered ${response.statusCode}: ${last}`));
        });
      },
    );
    call.on('error', reject);
    const messages = [{ role: 'user', content: '你好' }];
    const settings = { temperature: 0, seed: beatMs, max_tokens: tokens, stream: true };
    call.end(JSON.stringify({ model: 'huozi', messages, ...settings, ...to.fields }));
  });
}

/** Median of one request after the other, as fast as they go, each with the whole of its answer in one write; ms. */
export async function ttft(to: Gateway, requests: number): Promise<number> {
  const all: number[] = [];
  for (let at = -10; at < requests; at++) {
    const { ttftMs } = await stream(to, 1, 0);
    if (at >= 0) all.push(ttftMs);
  }
  return median(all);
}

/**
 * What each adds to the time to the first token of `base`: medians of the differences, ms. They take turns, one
 * request at a time, so that each difference is of the same moment of the machine; and what follows on the first token
 * comes 20 ms later, so that it is the first token that is timed and not the bookkeeping at an answer's end.
 */
export async function addedTtft(
  base: Gateway,
  gateways: readonly Gateway[],
  requests: number,
): Promise<{ base: number; added: number[] }> {
  const one = async (to: Gateway) => {
    const { ttftMs } = await stream(to, 2, 20);
    // What is settled after the last byte is nobody else's cost.
    await new Promise((resolve) => setTimeout(resolve, 5));
    return ttftMs;
  };
  const direct: number[] = [];
  const added = gateways.map((): number[] => []);
  for (let turn = 0; turn < requests; turn++) {
    const ttftMs = await one(base);
    direct.push(ttftMs);
    for (const [at, gateway] of gateways.entries()) added[at]!.push((await one(gateway)) - ttftMs);
  }
  return { base: median(direct), added: added.map(median) };
}

/** As fast as it goes, one stream: microseconds a token, of time. */
export async function timePerToken(to: Gateway): Promise<number> {
  const tokens = 4_000;
  const runs: number[] = [];
  for (let at = -1; at < 3; at++) {
    const { totalMs } = await stream(to, tokens, 0);
    if (at >= 0) runs.push((totalMs * 1000) / tokens);
  }
  return median(runs);
}

export interface OnTheBeat {
  /** While all of them flow, from a second after the last was opened; microseconds. */
  cpuPerToken: number;
  /** What all took beside that: to open an answer and to settle it; microseconds. */
  cpuPerRequest: number;
  /** By how much the last was late. */
  lateMs: number;
}

/**
 * `streams` at once, each on the beat: the gateway's CPU time, all of its threads', user and system. They are opened
 * evenly over one beat, so that a gateway that opens them faster does not get more of its tokens at a time, which are
 * cheaper so.
 */
export async function onTheBeat(
  to: Gateway,
  { streams, perSecond, seconds }: { streams: number; perSecond: number; seconds: number },
): Promise<OnTheBeat> {
  const beatMs = Math.round(1000 / perSecond);
  const tokens = Math.round(((seconds + 2) * 1000) / beatMs);
  const cpu = () => (to.pid === undefined ? 0 : cpuSeconds(to.pid));
  const before = cpu();
  const begin = performance.now();
  const all: Promise<Streamed>[] = [];
  while (all.length < streams) {
    all.push(stream(to, tokens, beatMs));
    await pause(begin + (all.length * beatMs) / streams - performance.now());
  }
  // Whether one fails shows when they are awaited.
  for (const one of all) one.catch(() => undefined);
  await pause(1_000);
  const flowing = { cpu: cpu(), received };
  await pause(seconds * 1_000);
  const cpuPerToken = (cpu() - flowing.cpu) / (received - flowing.received);
  const ended = await Promise.all(all);
  // What is settled after the last byte is a part of the answer's cost.
  await pause(300);
  const cpuPerRequest = (cpu() - before) / streams - cpuPerToken * tokens;
  const late = ended.map(({ totalMs }) => totalMs - (tokens - 1) * beatMs).toSorted((a, b) => a - b);
  return {
    cpuPerToken: cpuPerToken * 1e6,
    cpuPerRequest: cpuPerRequest * 1e6,
    lateMs: late[Math.floor(late.length * 0.99)]!,
  };
}

function pause(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}

/**
 * The most streams of 30 tokens/s that do not fall behind: 99 of 100 end at most 5 % of their time and a second after
 * the node's beat, which is what opening so many at once takes.
 */
export async function mostStreams(to: Gateway, counts: readonly number[]): Promise<number> {
  const seconds = 8;
  let most = 0;
  for (const streams of counts) {
    const { lateMs } = await onTheBeat(to, { streams, perSecond: 30, seconds });
    if (lateMs > (seconds + 2) * 50 + 1_000) break;
    most = streams;
  }
  return most;
}
