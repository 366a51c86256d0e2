/** Synthetic models of a Mixtral shape, big enough to measure with. */
import type { Shape } from '../src/gguf/testing/synthetic.ts';

export const sizes = {
  /** 3 MB: shows that all of it runs. */
  tiny: {
    layers: 4,
    embedding: 256,
    feedForward: 512,
    heads: 8,
    kvHeads: 2,
    experts: 8,
    expertsUsed: 2,
    vocabulary: 1000,
    context: 2048,
  },
  /** 790 M parameters: for two cores. */
  medium: {
    layers: 8,
    embedding: 1024,
    feedForward: 3584,
    heads: 16,
    kvHeads: 4,
    experts: 8,
    expertsUsed: 2,
    vocabulary: 32_000,
    context: 32_768,
  },
  /** Huozi's own layers, 12 of its 32: 18 B parameters, 10 GB at q4_0. */
  large: {
    layers: 12,
    embedding: 4096,
    feedForward: 14_336,
    heads: 32,
    kvHeads: 8,
    experts: 8,
    expertsUsed: 2,
    vocabulary: 57_002,
    context: 32_768,
  },
} as const satisfies Record<string, Shape>;

export type Size = keyof typeof sizes;
