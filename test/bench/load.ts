/** Load for the benchmarks: N streams at once against anything that answers with server-sent events. */
import { Agent, request } from 'node:http';

export const streamCounts = [1, 4, 8, 16] as const;
export const answerTokens = 128;

/** Long enough for a prefill that counts, short enough for 16 of them in one context. */
export const promptText = `请从一数到一百。${'春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。'.repeat(3)}`;

export interface Target {
  url: string;
  headers: Record<string, string>;
  /** JSON body of one streaming request for `answerTokens` greedy tokens past every end. */
  body(index: number): unknown;
}

export interface Measured {
  /** All tokens of all streams over the time from the first request to the last byte. */
  tokensPerSecond: number;
  /** Median over the streams: from sending the request to the first event with text, ms. */
  ttftMs: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

function oneStream(target: Target, index: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    let ttft = 0;
    let tail = '';
    const call = request(target.url, { method: 'POST', agent, headers: target.headers }, (response) => {
      response.on('data', (bytes: Buffer) => {
        // Only until the first text: after that the harness looks at nothing but the end.
        if (ttft === 0 && /"content":"[^"]/.test(bytes.toString('latin1')))
          ttft = performance.now() - started;
        tail = bytes.toString('latin1');
      });
      response.on('end', () => {
        if (response.statusCode !== 200 || ttft === 0) {
          reject(new Error(`${target.url} answered ${response.statusCode}: ${tail}`));
        } else resolve(ttft);
      });
    });
    call.on('error', reject);
    call.end(JSON.stringify(target.body(index)));
  });
}

/** One stream, and when each of its events came, ms on `performance.now`'s clock. Settles at its end. */
export function eventTimes(target: Target, onEvent: (at: number) => void = () => undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(target.url, { method: 'POST', agent, headers: target.headers }, (response) => {
      response.on('data', (bytes: Buffer) => {
        if (bytes.includes('data: ')) onEvent(performance.now());
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${target.url} answered ${response.statusCode}`));
      });
    });
    call.on('error', reject);
    call.end(JSON.stringify(target.body(0)));
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export async function measure(target: Target, streams: number): Promise<Measured> {
  const started = performance.now();
  const ttfts = await Promise.all(Array.from({ length: streams }, (_, index) => oneStream(target, index)));
  const seconds = (performance.now() - started) / 1000;
  return { tokensPerSecond: (streams * answerTokens) / seconds, ttftMs: median(ttfts) };
}

/** Runs both ways in turn, `rounds` times, and gives medians: the machine's mood hits both alike. */
export async function interleave(
  ours: () => Promise<Measured>,
  peer: (() => Promise<Measured>) | undefined,
  rounds: number,
): Promise<{ ours: Measured; peer: Measured | undefined }> {
  const runs = { ours: [] as Measured[], peer: [] as Measured[] };
  // The first round warms up and is not counted.
  for (let round = -1; round < rounds; round++) {
    const mine = await ours();
    const theirs = await peer?.();
    if (round < 0) continue;
    runs.ours.push(mine);
    if (theirs) runs.peer.push(theirs);
  }
  return { ours: medians(runs.ours), peer: runs.peer.length > 0 ? medians(runs.peer) : undefined };
}

function medians(runs: readonly Measured[]): Measured {
  return {
    tokensPerSecond: median(runs.map((run) => run.tokensPerSecond)),
    ttftMs: median(runs.map((run) => run.ttftMs)),
  };
}
