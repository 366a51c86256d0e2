/**
 * What several nodes counted of one model's experts, as one. Counts add up; entropy and imbalance are of the sums and
 * not means of the nodes', which would make ten idle nodes weigh as much as ten busy ones.
 */
import type { ExpertLayer, ExpertTelemetry } from 'huozi-gpu-backend/protocol';
import { entropy, imbalance } from '../../gpu-backend/src/expert-balance.ts';

/** What came of asking one node. */
export interface Heard {
  /** See `nodeId`. */
  id: string;
  /** Undefined: it did not tell. */
  telemetry: ExpertTelemetry | undefined;
}

/** `counted`: its counts are in the sums. `other_shape`: its model has other layers or experts under the same name. */
type Standing = 'counted' | 'silent' | 'unavailable' | 'other_shape';

/** Sums over the nodes that are counted; `sampling_cost` is their mean, weighted by their steps. */
export interface ExpertsBody extends Omit<ExpertTelemetry, 'mode' | 'since'> {
  object: 'experts';
  model: string;
  /** When the nodes were asked, milliseconds since 1970. */
  asked_at: number;
  /**
   * Who is in the sums, and who is not. They grow as long as `id`, `status` and `since` of all nodes stay as they are;
   * a node that comes, goes or starts anew takes its counts with it, and a difference across that means nothing.
   */
  nodes: { id: string; status: Standing; mode: ExpertTelemetry['mode'] | null; since: number | null }[];
}

export function sumTelemetry(model: string, heard: readonly Heard[], askedAt: number): ExpertsBody {
  const first = heard.find(({ telemetry }) => isCounting(telemetry))?.telemetry;
  const standing = ({ telemetry }: Heard): Standing => {
    if (!telemetry) return 'silent';
    if (!isCounting(telemetry)) return 'unavailable';
    return shape(telemetry) === shape(first!) ? 'counted' : 'other_shape';
  };
  const counted = heard.flatMap((one) => (standing(one) === 'counted' ? [one.telemetry!] : []));
  const sum = (of: (one: ExpertTelemetry) => number) => counted.reduce((all, one) => all + of(one), 0);
  const steps = sum((one) => one.steps);
  const any = first ?? heard.find(({ telemetry }) => telemetry)?.telemetry;
  return {
    object: 'experts',
    model,
    asked_at: askedAt,
    experts: any?.experts ?? 0,
    experts_used: any?.experts_used ?? 0,
    steps,
    steps_sampled: sum((one) => one.steps_sampled),
    tokens_sampled: sum((one) => one.tokens_sampled),
    sampling_cost: steps === 0 ? 0 : sum((one) => one.sampling_cost * one.steps) / steps,
    layers: (first?.layers ?? []).map((_, at) => sumLayers(counted.map(({ layers }) => layers[at]!))),
    nodes: heard.map((one) => ({
      id: one.id,
      status: standing(one),
      mode: one.telemetry?.mode ?? null,
      since: one.telemetry?.since ?? null,
    })),
  };
}

/** A node that samples nothing counts what requests ask for all the same, were it `off`; `unavailable` counts nothing. */
function isCounting(telemetry: ExpertTelemetry | undefined): boolean {
  return telemetry !== undefined && telemetry.mode !== 'unavailable';
}

function shape({ experts, experts_used, layers }: ExpertTelemetry): string {
  return `${experts} ${experts_used} ${layers.length}`;
}

function sumLayers(layers: readonly ExpertLayer[]): ExpertLayer {
  const counts = addUp(layers.map((layer) => layer.counts));
  return {
    tokens: layers.reduce((all, { tokens }) => all + tokens, 0),
    counts,
    entropy: entropy(counts),
    imbalance: imbalance(counts),
    co_activation: counts.map((_, row) => addUp(layers.map((layer) => layer.co_activation[row]!))),
  };
}

function addUp(lists: readonly (readonly number[])[]): number[] {
  return lists[0]!.map((_, at) => lists.reduce((sum, list) => sum + list[at]!, 0));
}
