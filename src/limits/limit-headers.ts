/** `x-ratelimit-*`, as OpenAI names them. A limit that the key does not have has no headers. */
import type { Standings } from './ledger.ts';

export function setLimitHeaders(headers: Headers, standings: Standings): void {
  for (const [what, standing] of Object.entries(standings)) {
    headers.set(`x-ratelimit-limit-${what}`, String(standing.limit));
    headers.set(`x-ratelimit-remaining-${what}`, String(standing.remaining));
    headers.set(`x-ratelimit-reset-${what}`, `${Math.ceil(standing.resetMs / 1000)}s`);
  }
}
