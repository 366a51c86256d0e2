/** What the operator allows: an endpoint that answers where the nodes cannot. */
import type { Env } from '../env.ts';
import { log } from '../log.ts';

export interface Endpoint {
  /** Without a slash at the end. */
  url: string;
  token: string;
  /** What runs there, which decides what can be asked of it. */
  engine: 'tgi' | 'vllm';
  /** As the endpoint calls its model. */
  model: string;
  /** Longest prompt + answer there, tokens. */
  contextLength: number;
  /** Expected seconds to the first token on the best of the nodes from which on the endpoint is asked first. */
  waitSeconds: number;
}

const defaultModel = 'huozi';
const defaultContext = 32_768;
/** The token goes with every request, so nobody on the way may read it. */
const safeUrl = /^(https:\/\/|http:\/\/(127\.0\.0\.1|localhost)[:/])[^?#@\s]+$/;

/** @returns undefined where no endpoint answers for this model */
export function endpointFor(env: Env, model: string): Endpoint | undefined {
  const { BURST_ENDPOINT_URL, BURST_TOKEN = '', BURST_ENGINE = 'tgi' } = env;
  if (!BURST_ENDPOINT_URL || model !== (env.BURST_MODEL || defaultModel)) return undefined;
  const contextLength = Number(env.BURST_CONTEXT || defaultContext);
  const waitSeconds = Number(env.BURST_WAIT_SECONDS || Number.POSITIVE_INFINITY);
  const engine = BURST_ENGINE === 'tgi' || BURST_ENGINE === 'vllm' ? BURST_ENGINE : undefined;
  // TGI would take any other name for that of an adapter.
  const theirModel = engine === 'tgi' ? 'tgi' : env.BURST_ENDPOINT_MODEL;
  const fits = safeUrl.test(BURST_ENDPOINT_URL) && BURST_TOKEN !== '' && engine && theirModel;
  if (!fits || !(contextLength > 0) || !(waitSeconds >= 0)) {
    log('problem', { problem: 'burst_misconfigured' });
    return undefined;
  }
  return {
    url: BURST_ENDPOINT_URL.replace(/\/+$/, ''),
    token: BURST_TOKEN,
    engine,
    model: theirModel,
    contextLength,
    waitSeconds,
  };
}
