import { UpstreamHttp, type UpstreamOptions } from '../upstream/http.ts';
import type { VllmHost } from './adapter.ts';

/** A vLLM that somebody else starts and stops: on another machine, or the head of a cluster. */
export function attachTo(options: UpstreamOptions): VllmHost {
  const http = new UpstreamHttp(options);
  return { http, up: true, restarts: 0, close: () => http.close() };
}
