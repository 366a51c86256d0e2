/** From what nodes say of themselves every few seconds to what happened in between. Pure; times in milliseconds. */

/** A row of `GET /admin/nodes`, as far as it is used. */
export interface NodeRow {
  id: string;
  url: string;
  up: boolean;
  breaker: { state: 'closed' | 'open' | 'half-open'; failures: number; open_until: number | null };
  info: {
    model: string;
    version?: string;
    context_length: number;
    slots?: number;
    active?: number;
    queued?: number;
    queued_tokens?: number;
    draining?: boolean;
    engine?: 'ready' | 'restarting';
    kv_used?: number;
    kv_total?: number;
    prefill_tokens?: number;
    decode_tokens?: number;
    prefill_tokens_per_second?: number;
    answer_seconds?: number;
  } | null;
}

export interface Look {
  at: number;
  nodes: readonly NodeRow[];
}

/** Tokens per second. */
export interface Rates {
  prefill: number;
  decode: number;
}

/** By the node's id; without those that cannot be known: new, down, started anew, of a version that does not count. */
export function ratesBetween(before: Look, after: Look): Map<string, Rates> {
  const rates = new Map<string, Rates>();
  const seconds = (after.at - before.at) / 1000;
  if (seconds <= 0) return rates;
  for (const { id, up, info } of after.nodes) {
    const last = before.nodes.find((node) => node.id === id);
    if (!up || !last?.up) continue;
    const prefill = difference(info?.prefill_tokens, last.info?.prefill_tokens);
    const decode = difference(info?.decode_tokens, last.info?.decode_tokens);
    if (prefill === undefined || decode === undefined) continue;
    rates.set(id, { prefill: prefill / seconds, decode: decode / seconds });
  }
  return rates;
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  if (after === undefined || before === undefined || after < before) return undefined;
  return after - before;
}

export type NodeState = 'down' | 'restarting' | 'draining' | 'avoided' | 'full' | 'ready';

/** The worst that holds. `avoided`: this edge's breaker is open. */
export function stateOf({ up, info, breaker }: NodeRow): NodeState {
  if (!up || !info) return 'down';
  if (info.engine === 'restarting') return 'restarting';
  if (info.draining) return 'draining';
  if (breaker.state === 'open') return 'avoided';
  return info.slots !== undefined && (info.active ?? 0) >= info.slots ? 'full' : 'ready';
}
