/** The experts of one step, gathered layer by layer while it runs. */
export class StepExperts {
  readonly layers: number;
  readonly used: number;
  /** `[rows, used]` of each layer, as far as its count of rows says. */
  readonly ids: readonly Uint8Array[];
  readonly rows: Int32Array;

  /** @param tokens of one step at most */
  constructor(layers: number, used: number, tokens: number) {
    this.layers = layers;
    this.used = used;
    this.ids = Array.from({ length: layers }, () => new Uint8Array(tokens * used));
    this.rows = new Int32Array(layers);
  }

  begin(): void {
    this.rows.fill(0);
  }

  /** One layer of one micro-batch; micro-batches come one after the other. @param experts `[tokens, used]` */
  add(layer: number, experts: Int32Array): void {
    const ids = this.ids[layer];
    const begin = (this.rows[layer] ?? 0) * this.used;
    if (!ids || begin + experts.length > ids.length) return;
    ids.set(experts, begin);
    this.rows[layer] = begin / this.used + experts.length / this.used;
  }

  /**
   * The experts that one position of the step went through.
   * @param index its place in the batch
   * @param output its place among those with logits: the last layer computes no others
   * @returns `[layers, used]`, the expert with the larger router weight first; undefined if the step was not seen whole
   */
  of(index: number, output: number, tokens: number): Uint8Array | undefined {
    const { layers, used } = this;
    const row = new Uint8Array(layers * used);
    for (let layer = 0; layer < layers; layer++) {
      const ids = this.ids[layer] as Uint8Array;
      const at = (this.rows[layer] === tokens ? index : output) * used;
      if (at + used > (this.rows[layer] ?? 0) * used) return undefined;
      row.set(ids.subarray(at, at + used), layer * used);
    }
    return row;
  }
}
