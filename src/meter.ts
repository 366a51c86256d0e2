/** Where every answer's usage ends up, however the answer ended. One line in the log; no content. */
import type { NodeUsage } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import type { Leg } from './leg.ts';
import { log } from './log.ts';

export interface Metered {
  /** The answer's id, as the client saw it. */
  id: string;
  model: string;
  stream: boolean;
  /** When the first event was ready for the client, milliseconds since 1970; undefined when none was. */
  firstEventAt: number | undefined;
  /** The leg that ended the answer. */
  leg: Leg;
}

/** Settles once the leg's usage is known, which may take a question to the node. */
export async function meter(call: Call, { id, model, stream, firstEventAt, leg }: Metered): Promise<void> {
  const endedAt = Date.now();
  const { usage, source } = await leg.usage();
  log('usage', {
    request_id: call.requestId,
    id,
    key: call.keyId,
    model,
    node: leg.node.url,
    stream,
    ...counts(usage),
    /** Where the counts come from: the stream itself, a question to the node, or the edge's own counting. */
    source,
    ttft_ms: firstEventAt === undefined ? null : firstEventAt - call.startedAt,
    duration_ms: endedAt - call.startedAt,
  });
}

function counts({ prompt_tokens, completion_tokens, reason }: NodeUsage): NodeUsage {
  return { prompt_tokens, completion_tokens, reason };
}
