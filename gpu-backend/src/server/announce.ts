/**
 * Tells the edge that this node is there: a signed beat every two seconds, one at once when something changes, and
 * one that says goodbye. See `src/fleet/beat.ts` of the edge.
 */
import { createHmac } from 'node:crypto';
import type { Logger } from 'pino';
import type { NodeInfo } from '../protocol.ts';

export interface AnnounceOptions {
  /** The edge's base URL. */
  edge: string;
  /** Where the edge reaches this node. */
  url: string;
  /** Shared with the edge. Signs; does not travel. */
  token: string;
  info: () => NodeInfo;
  log: Logger;
}

export interface Announcement {
  /** Now, and not at the next beat. */
  beat(): Promise<void>;
  /** Says goodbye; nothing is said after that. */
  stop(): Promise<void>;
}

const beatMs = 2_000;
const deadlineMs = 5_000;

/** Never fails: an edge that does not hear is told again at the next beat, and the log says so once. */
export function announce({ edge, url, token, info, log }: AnnounceOptions): Announcement {
  let lastSentAt = 0;
  let wasHeard: boolean | undefined;
  let stopped = false;

  const say = async (leaving: boolean): Promise<void> => {
    // Each later than the one before: the edge believes nothing older than what it knows.
    lastSentAt = Math.max(Date.now(), lastSentAt + 1);
    const body = JSON.stringify({ url, sent_at: lastSentAt, leaving, info: info() });
    const signature = createHmac('sha256', token).update(body).digest('hex');
    const refusal = await post(`${edge}/fleet/beat`, body, signature);
    const isHeard = refusal === undefined;
    if (isHeard !== wasHeard && isHeard) log.info({ edge }, 'the edge knows this node');
    if (isHeard !== wasHeard && !isHeard) log.warn({ edge, refusal }, 'the edge does not hear this node');
    wasHeard = isHeard;
  };

  const timer = setInterval(() => void say(false), beatMs);
  timer.unref();
  void say(false);
  return {
    async beat() {
      if (!stopped) await say(false);
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      clearInterval(timer);
      await say(true);
    },
  };
}

/** @returns why it was not heard */
async function post(url: string, body: string, signature: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-huozi-signature': signature },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(deadlineMs),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `status ${response.status}`;
  } catch (error) {
    return (error as Error).message;
  }
}
