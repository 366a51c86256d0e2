/**
 * One budget of the key: what it allows, what is left, seconds until it is full again.
 *
 * @example
 * const { limit, remaining, reset }: Budget = stream.rateLimit.tokens;
 */
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

export function rateLimitOf(headers: Headers): RateLimit {
  const budget = (of: string): Budget => {
    const read = (what: string) => {
      const value = headers.get(`x-ratelimit-${what}-${of}`);
      return value ? Number.parseFloat(value) : undefined;
    };
    return { limit: read('limit'), remaining: read('remaining'), reset: read('reset') };
  };
  return { requests: budget('requests'), tokens: budget('tokens') };
}
