/** vLLM's own `/metrics`, as our stats. Names as of vLLM 0.32.0; one that is missing changes nothing. */
import type { EngineStats } from '../engine/types.ts';

/** Name → sum over the samples, with labels left out; engines of data parallel add up. */
export interface VllmMetrics {
  value(name: string): number | undefined;
  /** Of `vllm:cache_config_info`'s labels; summed over engines. */
  blocks: { count: number; size: number } | undefined;
  /** How many engines tell of themselves. */
  engines: number;
}

export function readMetrics(text: string): VllmMetrics {
  const sums = new Map<string, number>();
  let blocks: VllmMetrics['blocks'];
  let engines = 0;
  for (const line of text.split('\n')) {
    const match = /^(vllm:[a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const [, name = '', labels = '', value = ''] = match;
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
    if (name === 'vllm:num_requests_running') engines++;
    if (name === 'vllm:cache_config_info') {
      const label = (key: string) => Number(new RegExp(`(?:^|,)${key}="(\\d+)"`).exec(labels)?.[1] ?? 0);
      blocks = { count: (blocks?.count ?? 0) + label('num_gpu_blocks'), size: label('block_size') };
    }
  }
  return { value: (name) => sums.get(`vllm:${name}`), blocks, engines };
}

/** What is told there and nowhere else; of all who use that vLLM, not of this node alone. */
export function statsOf(now: VllmMetrics, before: VllmMetrics | undefined): Partial<EngineStats> {
  const { value, blocks, engines } = now;
  const stats: Partial<EngineStats> = {};
  const set = (key: keyof EngineStats, found: number | undefined) => {
    if (found !== undefined && Number.isFinite(found)) stats[key] = found;
  };
  set('active', value('num_requests_running'));
  set('queued', value('num_requests_waiting'));
  set('steps', value('iteration_tokens_total_count'));
  set('prefillTokens', value('prompt_tokens_total'));
  set('decodeTokens', value('generation_tokens_total'));
  const usage = value('kv_cache_usage_perc');
  if (blocks && blocks.count > 0) {
    stats.kvTotal = blocks.count * blocks.size;
    if (usage !== undefined) stats.kvUsed = Math.round((usage / Math.max(1, engines)) * stats.kvTotal);
  }
  // Since the last look, or since its start while nothing has come since.
  const rate = (sum: string, count: string) => {
    const [s, c] = [value(sum), value(count)];
    if (s === undefined || c === undefined) return undefined;
    const since = [s - (before?.value(sum) ?? 0), c - (before?.value(count) ?? 0)] as const;
    return since[1] > 0 ? since[0] / since[1] : undefined;
  };
  set('answerSeconds', rate('e2e_request_latency_seconds_sum', 'e2e_request_latency_seconds_count'));
  const prefillSeconds = rate('request_prefill_time_seconds_sum', 'prompt_tokens_total');
  if (prefillSeconds) set('prefillTokensPerSecond', 1 / prefillSeconds);
  return stats;
}
