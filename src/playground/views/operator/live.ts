/** What the nodes and the meters said while the page was open; gone with the tab. */
import { signal } from '@preact/signals';
import { getJson, problemOf } from '../../api.ts';
import { adminToken } from '../../secrets.ts';
import type { UsageRow } from './buckets.ts';
import { between, type Histogram, quantile } from './quantile.ts';
import { type Look, type NodeRow, type Rates, ratesBetween } from './rates.ts';

/** Sums over the nodes at one moment; null: not known. Rates in tokens per second, times in milliseconds. */
export interface Moment {
  at: number;
  queued: number;
  active: number;
  prefill: number | null;
  decode: number | null;
}

/** Of the answers of the minute before. */
export interface Speed {
  at: number;
  ttft50: number | null;
  ttft95: number | null;
}

export const nodesEveryMs = 2_000;
export const speedEveryMs = 5_000;
const keptMs = 10 * 60_000;
const speedWindowMs = 60_000;

export const nodes = signal<readonly NodeRow[] | undefined>(undefined);
export const rates = signal<ReadonlyMap<string, Rates>>(new Map());
export const moments = signal<readonly Moment[]>([]);
export const speeds = signal<readonly Speed[]>([]);
/** After a refusal there is no token either: it is asked for again. */
export const problem = signal<ReturnType<typeof problemOf> | undefined>(undefined);

let last: Look | undefined;
const openedAt = Math.floor(Date.now() / 1000);
let counted: { at: number; ttft: Histogram }[] = [];

/** Of another fleet, or before another login. */
export function forget(): void {
  nodes.value = undefined;
  rates.value = new Map();
  moments.value = [];
  speeds.value = [];
  problem.value = undefined;
  last = undefined;
  counted = [];
}

/** @returns whether it went well */
export async function lookAtNodes(abort: AbortSignal): Promise<boolean> {
  try {
    const { data } = await getJson<{ data: NodeRow[] }>('/admin/nodes', { signal: abort });
    const now: Look = { at: Date.now(), nodes: data };
    const found = last ? ratesBetween(last, now) : new Map<string, Rates>();
    last = now;
    nodes.value = data;
    rates.value = found;
    moments.value = [...kept(moments.value, now.at), momentOf(now, found)];
    problem.value = undefined;
    return true;
  } catch (error) {
    if (abort.aborted) return false;
    problem.value = problemOf(error);
    if (problem.value.isKey) adminToken.set('', false);
    return false;
  }
}

function momentOf({ at, nodes }: Look, found: Map<string, Rates>): Moment {
  const sum = (of: (info: NonNullable<NodeRow['info']>) => number | undefined) =>
    nodes.reduce((all, { up, info }) => all + ((up && info && of(info)) || 0), 0);
  const rate = (of: (one: Rates) => number) =>
    found.size === 0 ? null : [...found.values()].reduce((all, one) => all + of(one), 0);
  return {
    at,
    queued: sum((info) => info.queued),
    active: sum((info) => info.active),
    prefill: rate((one) => one.prefill),
    decode: rate((one) => one.decode),
  };
}

/** The edge tells all answers' times since some hour; what came within a minute is a difference. */
export async function lookAtSpeed(abort: AbortSignal): Promise<boolean> {
  const { data } = await getJson<{ data: UsageRow[] }>(`/admin/usage?from=${openedAt}`, { signal: abort });
  const now = { at: Date.now(), ttft: data[0]!.ttft_ms };
  const before = counted.findLast(({ at }) => now.at - at >= speedWindowMs) ?? counted[0];
  counted = [...counted.filter(({ at }) => now.at - at <= 2 * speedWindowMs), now];
  const ttft = before && between(before.ttft, now.ttft);
  if (!ttft) return true;
  const at = (q: number) => quantile(ttft, q) ?? null;
  speeds.value = [...kept(speeds.value, now.at), { at: now.at, ttft50: at(0.5), ttft95: at(0.95) }];
  return true;
}

function kept<T extends { at: number }>(list: readonly T[], now: number): T[] {
  return list.filter(({ at }) => now - at <= keptMs);
}
