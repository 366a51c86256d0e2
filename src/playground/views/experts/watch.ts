/** The nodes' counts as they come in, and what changed in the last seconds. Kept while the page is open. */
import { signal } from '@preact/signals';
import type { ExpertsBody } from '../../../experts/sum-telemetry.ts';
import { ApiError, getJson, problemOf } from '../../api.ts';
import { adminToken } from '../../secrets.ts';
import { changeOf, type LayerUse } from './change.ts';
import type { Shape } from './decode-routes.ts';

export const latest = signal<ExpertsBody | undefined>(undefined);
/** Since the oldest look that is kept; undefined when there is none that compares. */
export const recent = signal<{ layers: LayerUse[]; seconds: number } | undefined>(undefined);
/** Tokens that came with the last look. */
export const arrived = signal(0);
export const problem = signal<ReturnType<typeof problemOf> | undefined>(undefined);

const keptMs = 10_000;
let looks: ExpertsBody[] = [];

/** @returns whether it went well */
export async function look(model: string, abort: AbortSignal): Promise<boolean> {
  try {
    const body = await read(model, abort);
    if (body.asked_at !== looks.at(-1)?.asked_at) take(body);
    problem.value = undefined;
    return true;
  } catch (error) {
    if (!abort.aborted) problem.value = problemOf(error);
    return false;
  }
}

export function shapeOf({ layers, experts, experts_used }: ExpertsBody): Shape {
  return { layers: layers.length, experts, used: experts_used };
}

/** Who has no key with the scope may have the operator's token. */
async function read(model: string, abort: AbortSignal): Promise<ExpertsBody> {
  const query = `/experts?model=${encodeURIComponent(model)}`;
  try {
    return await getJson<ExpertsBody>(`/v1${query}`, { signal: abort });
  } catch (error) {
    const isRefused = error instanceof ApiError && (error.status === 401 || error.status === 403);
    if (!isRefused || !adminToken.value.peek()) throw error;
    return getJson<ExpertsBody>(`/admin${query}`, { signal: abort });
  }
}

function take(body: ExpertsBody): void {
  const last = looks.at(-1);
  const sinceLast = last && changeOf(last, body);
  // Of what cannot be compared with the newest nothing is kept.
  looks = sinceLast ? [...looks.filter(({ asked_at }) => body.asked_at - asked_at <= keptMs), body] : [body];
  const [oldest] = looks as [ExpertsBody];
  const layers = looks.length > 1 ? changeOf(oldest, body) : undefined;
  latest.value = body;
  arrived.value = sinceLast?.[0]?.tokens ?? 0;
  recent.value = layers && { layers, seconds: (body.asked_at - oldest.asked_at) / 1000 };
}
