/** One budget of the key: what it allows, what is left, seconds until it is full again. */
export interface Budget {
  limit: number | undefined;
  remaining: number | undefined;
  reset: number | undefined;
}

/**
 * `x-ratelimit-*` of an answer.
 *
 * @example
 * if (stream.rateLimit.tokens.remaining === 0) slowDown(stream.rateLimit.tokens.reset);
 */
export interface RateLimit {
  requests: Budget;
  tokens: Budget;
}

const unitSeconds: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds as a number, or OpenAI's `6m0s`, `120ms`. */
function seconds(value: string): number | undefined {
  if (!Number.isNaN(Number(value))) return Number(value);
  const parts = [...value.matchAll(/([\d.]+)(ms|[smhd])/g)];
  return parts.length === 0
    ? undefined
    : parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitSeconds[unit!]!, 0);
}

export function rateLimitOf(headers: Headers): RateLimit {
  const budget = (of: string): Budget => {
    const read = (what: string) => {
      const value = headers.get(`x-ratelimit-${what}-${of}`);
      return value ? seconds(value) : undefined;
    };
    return { limit: read('limit'), remaining: read('remaining'), reset: read('reset') };
  };
  return { requests: budget('requests'), tokens: budget('tokens') };
}
