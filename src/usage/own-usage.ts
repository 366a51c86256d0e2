/** `GET /v1/usage`: what a key has used, for whoever holds it. */
import type { Call } from '../call.ts';
import { EdgeError } from '../errors.ts';
import { askKey } from '../keys/ask-key.ts';
import { setLimitHeaders } from '../limits/limit-headers.ts';
import { parseUsageQuery } from './usage-query.ts';
import type { ReportRow } from './usage-row.ts';

export interface OwnUsageBody {
  object: 'usage';
  key: { id: string; name: string };
  /** Unix seconds. */
  from: number;
  to: number;
  data: ReportRow[];
}

/** @param params `from`, `to`, `group_by` of model and hour */
export async function ownUsage(call: Call, params: Record<string, string>): Promise<OwnUsageBody> {
  const query = parseUsageQuery(params, call.startedAt);
  const credential = { hash: call.keyHash, scope: 'usage' } as const;
  const usage = await askKey(call, (key) => key.ownUsage(credential, query));
  if ('refusal' in usage) throw new EdgeError(usage.refusal);
  const { id, name, standings, data } = usage;
  setLimitHeaders(call.responseHeaders, standings);
  return { object: 'usage', key: { id, name }, from: query.from, to: query.to, data };
}
