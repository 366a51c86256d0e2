/** `GET /admin/nodes`: what every node says of itself, and what this isolate has seen of it. */
import type { NodeInfo } from 'huozi-gpu-backend/protocol';
import type { Call } from '../call.ts';
import { knownNodes, nodeId } from '../nodes.ts';
import type { BreakerState } from '../routing/breaker.ts';
import { breakerOf } from '../routing/choose.ts';

interface ShownNode {
  /** As in `GET /v1/experts`. */
  id: string;
  url: string;
  up: boolean;
  /** Requests that went there since it last spoke. */
  sent: number;
  /** Of the isolate that answers: others may have seen other failures. `open_until`: milliseconds since 1970. */
  breaker: { state: BreakerState; failures: number; open_until: number | null };
  /** Without its `prefixes`, which are long and mean nothing to a person. */
  info: Omit<NodeInfo, 'prefixes'> | null;
}

/** Pages that show it ask every second, and there may be several. */
const freshMs = 500;

export async function shownNodes(call: Call): Promise<{ object: 'list'; data: ShownNode[] }> {
  const nodes = await knownNodes(call, freshMs);
  const now = Date.now();
  const data = nodes.map((node) => {
    const { prefixes: _, ...info } = node.info ?? {};
    return {
      id: nodeId(node),
      url: node.url,
      up: node.up,
      sent: node.sent,
      breaker: breakerOf(node.url, now),
      info: node.info ? (info as NodeInfo) : null,
    };
  });
  return { object: 'list', data };
}
