/** Which experts the tokens went through: of some steps for the operator, of single requests exactly. */
import type { ExpertTap } from '../native/expert-tap.ts';
import type { ExpertTelemetry } from '../protocol.ts';
import { ExpertCounts } from './expert-counts.ts';
import { SamplingBudget } from './sampling-budget.ts';
import type { StepExperts } from './step-experts.ts';

export interface ExpertWatchOptions {
  experts: number;
  /** Look into some steps also when no request asks. */
  sampled: boolean;
  /** Undefined where the library offers no way in. */
  tap: ExpertTap | undefined;
}

/** Of all time in steps, for looking: half of what the project allows itself. */
const timeShare = 0.015;
/** Nodes of a layer's graph, each a hop to the event loop, and what a hop took (2 cores Zen 4), ms. */
const guessedLayerMs = 45 * 0.015;

export class ExpertWatch {
  readonly #step: StepExperts;
  readonly #options: ExpertWatchOptions;
  readonly #counts: ExpertCounts[];
  readonly #budget: SamplingBudget;
  readonly #since = Math.floor(Date.now() / 1000);
  #open = false;
  #wanted = false;
  #steps = 0;
  #sampled = 0;

  constructor(step: StepExperts, options: ExpertWatchOptions) {
    this.#step = step;
    this.#options = options;
    this.#counts = Array.from({ length: step.layers }, () => new ExpertCounts(options.experts));
    this.#budget = new SamplingBudget(timeShare, guessedLayerMs * step.layers);
  }

  /** Whether single requests can have their experts told. */
  get isAvailable(): boolean {
    return this.#options.tap !== undefined;
  }

  /** Before a step. @param wanted a request in it wants its experts, at whatever it costs */
  before(wanted: boolean): void {
    const { tap, sampled } = this.#options;
    if (!tap) return;
    this.#wanted = wanted;
    const open = wanted || (sampled && this.#budget.isEarned);
    if (open) this.#step.begin();
    if (open === this.#open) return;
    this.#open = open;
    if (open) tap.open();
    else tap.close();
  }

  after(tokens: number, ms: number): void {
    this.#steps++;
    if (!this.#open) {
      this.#budget.plain(tokens, ms);
      return;
    }
    // What a request asked for is its own cost, not sampling's.
    if (!this.#wanted) this.#budget.looked(tokens, ms);
    if (!this.#options.sampled) return;
    const { ids, rows, used } = this.#step;
    this.#sampled++;
    for (const [layer, counts] of this.#counts.entries()) {
      counts.add(ids[layer] as Uint8Array, rows[layer] as number, used);
    }
  }

  /** Of a step that was looked into: see `StepExperts.of`. */
  of(index: number, output: number, tokens: number): Uint8Array | undefined {
    return this.#open ? this.#step.of(index, output, tokens) : undefined;
  }

  snapshot(): ExpertTelemetry {
    const { tap, sampled, experts } = this.#options;
    const layers = this.#counts.map((counts) => counts.toJSON());
    return {
      mode: !tap ? 'unavailable' : sampled ? 'sampled' : 'off',
      since: this.#since,
      experts,
      experts_used: this.#step.used,
      steps: this.#steps,
      steps_sampled: this.#sampled,
      tokens_sampled: layers[0]?.tokens ?? 0,
      sampling_cost: this.#budget.spentShare,
      layers,
    };
  }
}
