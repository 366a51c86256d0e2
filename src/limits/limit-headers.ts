/** `x-ratelimit-*`, as OpenAI names them. A limit that the key does not have has no headers. */
import type { Standings } from './ledger.ts';

export function setLimitHeaders(headers: Record<string, string>, standings: Standings): void {
  for (const [what, standing] of Object.entries(standings)) {
    headers[`x-ratelimit-limit-${what}`] = String(standing.limit);
    headers[`x-ratelimit-remaining-${what}`] = String(standing.remaining);
    headers[`x-ratelimit-reset-${what}`] = `${Math.ceil(standing.resetMs / 1000)}s`;
  }
}
