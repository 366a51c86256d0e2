/** From the nodes as they are known to the one that is asked next. */
import type { Segment } from 'huozi-gpu-backend/protocol';
import type { KnownNode } from '../nodes.ts';
import { type Breaker, type BreakerState, closed, failed, probing, stateOf } from './breaker.ts';
import { type Asked, affinity, type Candidate, expectedTtft, type Policy, roundRobin } from './policy.ts';
import { prefixKeys } from './prefix-keys.ts';

/** An isolate's memory, by the node's URL: of those that have failed since they last took a request. Plain values. */
const breakers = new Map<string, Breaker>();

/** Turns are an isolate's own. */
const policies: Record<string, Policy> = { 'round-robin': roundRobin() };

/** For nodes that have not measured themselves yet. */
const assumedPrefillRate = 1_000;
const assumedAnswerSeconds = 5;
/** Chinese and English text have this or less. */
const charactersPerToken = 2;

export function askedOf(tenant: string, prompt: readonly Segment[]): Asked {
  const characters = prompt.reduce((sum, segment) => sum + ('text' in segment ? segment.text.length : 1), 0);
  return { keys: prefixKeys(tenant, prompt), promptTokens: Math.ceil(characters / charactersPerToken) };
}

/**
 * Among the nodes that are up, take requests and have not just failed: the policy's. When there is none of them, any
 * that may have come back. Undefined when every node is excluded or draining.
 */
export function choose(
  nodes: readonly KnownNode[],
  asked: Asked,
  excluded: ReadonlySet<string>,
  now: number,
  routing = 'affinity',
): KnownNode | undefined {
  const left = nodes.filter(({ url, info }) => !excluded.has(url) && !info?.draining);
  const state = ({ url }: KnownNode) => stateOf(breakers.get(url) ?? closed, now);
  const fit = left.filter((node) => node.up && node.info?.engine !== 'restarting' && state(node) !== 'open');
  const chosen =
    fit.length > 0
      ? preferred(fit, asked, policies[routing] ?? affinity)
      : left[Math.floor(Math.random() * left.length)];
  if (!chosen) return undefined;
  if (state(chosen) === 'half-open') breakers.set(chosen.url, probing(breakers.get(chosen.url)!, now));
  chosen.sent++;
  return chosen;
}

/** Expected seconds to the first token on the best of the nodes that may be asked; infinite where there is none. */
export function soonest(nodes: readonly KnownNode[], { promptTokens }: Asked, now: number): number {
  const fit = nodes.filter(
    ({ url, up, info }) => up && !info?.draining && stateOf(breakers.get(url) ?? closed, now) !== 'open',
  );
  return Math.min(
    Number.POSITIVE_INFINITY,
    ...fit.map((node) => expectedTtft(candidate(node), promptTokens)),
  );
}

/** That a node took a request, or that it did not or was lost with it. */
export function report(url: string, isWell: boolean, now: number): void {
  if (isWell) breakers.delete(url);
  else breakers.set(url, failed(breakers.get(url) ?? closed, now, Math.random()));
}

/** As this isolate has it. */
export function breakerOf(
  url: string,
  now: number,
): { state: BreakerState; failures: number; open_until: number | null } {
  const breaker = breakers.get(url) ?? closed;
  return {
    state: stateOf(breaker, now),
    failures: breaker.failures,
    open_until: breaker.openUntil === 0 ? null : Math.round(breaker.openUntil),
  };
}

function preferred(nodes: readonly KnownNode[], asked: Asked, policy: Policy): KnownNode {
  const candidates = nodes.map(candidate);
  const fleet = {
    nodes: candidates,
    meanLoad: candidates.reduce((sum, { load }) => sum + load, 0) / candidates.length,
    holders: (key: number) => nodes.flatMap((node, index) => (node.prefixes.has(key) ? [index] : [])),
  };
  return nodes[policy(asked, fleet, Math.random)]!;
}

function candidate({ hash, info, sent }: KnownNode): Candidate {
  return {
    hash,
    slots: info?.slots ?? 1,
    // What this isolate sent since the node last spoke is not in what it said.
    load: (info?.active ?? 0) + (info?.queued ?? 0) + sent,
    queuedTokens: info?.queued_tokens ?? 0,
    prefillRate: info?.prefill_tokens_per_second || assumedPrefillRate,
    answerSeconds: info?.answer_seconds || assumedAnswerSeconds,
  };
}
