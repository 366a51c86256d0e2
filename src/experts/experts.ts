/**
 * `GET /v1/experts` and `GET /admin/experts`: where the routers of a model send its tokens, over all nodes.
 *
 * The threat: the counts are of everybody's traffic. Who may poll them sees when others are busy and, roughly, whether
 * their topics change, but no text and no key. So a key needs the scope `telemetry`, which has to be named, and learns
 * of nodes no more than a number that stands for each.
 */
import * as z from 'zod/mini';
import type { Call } from '../call.ts';
import { EdgeError } from '../errors.ts';
import { authorise } from '../keys/ask-key.ts';
import { expertTelemetry } from '../node-api.ts';
import { nodeId, nodesServing } from '../nodes.ts';
import { validate } from '../validate.ts';
import { type ExpertsBody, sumTelemetry } from './sum-telemetry.ts';

export const expertsQuery = z.strictObject({ model: z.string().check(z.minLength(1), z.maxLength(128)) });

/** However many poll, each isolate asks the nodes at most this often. */
const freshMs = 1_000;
/** While somebody asks the nodes, the others get what was known, if it is no older. */
const staleMs = 3_000;

interface Known {
  configuration: string;
  askedAt: number;
  body: ExpertsBody | undefined;
}

/** An isolate's memory, by model; only of models that are served. Plain values, see nodes.ts. */
const known = new Map<string, Known>();

/** For a key. */
export async function readExperts(call: Call, params: Record<string, string>): Promise<ExpertsBody> {
  const { model } = validate(expertsQuery, params);
  await authorise(call, 'telemetry', model);
  return experts(call, model);
}

/** For the admin. */
export function readAllExperts(call: Call, params: Record<string, string>): Promise<ExpertsBody> {
  return experts(call, validate(expertsQuery, params).model);
}

/** Throws an EdgeError when the model is not served, or no node that serves it answers. */
async function experts(call: Call, model: string): Promise<ExpertsBody> {
  const now = Date.now();
  const configuration = `${call.env.NODE_URLS}\n${call.env.NODE_TOKEN}`;
  const before = known.get(model);
  const last = before?.configuration === configuration ? before : undefined;
  const bodyAge = last?.body ? now - last.body.asked_at : Number.POSITIVE_INFINITY;
  if (last?.body && now - last.askedAt <= freshMs && bodyAge <= staleMs) return last.body;
  const nodes = await nodesServing(call, model);
  known.set(model, { configuration, askedAt: now, body: last?.body });
  const heard = await Promise.all(
    nodes.map(async (node) => ({ id: nodeId(node), telemetry: await expertTelemetry(node) })),
  );
  if (heard.every(({ telemetry }) => telemetry === undefined)) {
    throw new EdgeError({ kind: 'no_node_available', retryAfter: 5 }, 'no node tells of its experts');
  }
  const body = sumTelemetry(model, heard, now);
  known.set(model, { configuration, askedAt: now, body });
  return body;
}
