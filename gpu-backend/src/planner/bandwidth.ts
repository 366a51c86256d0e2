/**
 * Memory bandwidth by name, bytes/s, as the makers state it (peak). Decoding one stream reads every active weight
 * once a token, so bandwidth bounds its speed whatever the arithmetic.
 */
import { parseBytes } from './bytes.ts';

export const vramBandwidths: Readonly<Record<string, number>> = {
  t4: 320e9,
  'rtx-3060': 360e9,
  l4: 300e9,
  'rtx-4060-ti': 288e9,
  'rtx-4070-ti-super': 672e9,
  l40s: 864e9,
  'rtx-3090': 936e9,
  'rtx-4090': 1008e9,
  'a100-40': 1555e9,
  'rtx-5090': 1792e9,
  'h100-pcie': 2000e9,
  'a100-80': 2039e9,
  'h100-sxm': 3350e9,
  h200: 4800e9,
};

/** Channels × 8 bytes × transfers. */
export const ramBandwidths: Readonly<Record<string, number>> = {
  'ddr4-3200x2': 51.2e9,
  'ddr5-4800x2': 76.8e9,
  'ddr5-5600x2': 89.6e9,
  'ddr5-6400x2': 102.4e9,
  'ddr4-3200x8': 204.8e9,
  'ddr5-4800x8': 307.2e9,
  'ddr5-4800x12': 460.8e9,
};

export const defaultBandwidths = { vram: 'rtx-4090', ram: 'ddr5-5600x2' } as const;

/** @param text a name of `names`, or an amount such as `936GB` or `936GB/s` */
export function parseBandwidth(text: string, names: Readonly<Record<string, number>>): number | undefined {
  if (Object.hasOwn(names, text)) return names[text];
  const value = parseBytes(text.replace(/\/s$/i, ''));
  return value === 0 ? undefined : value;
}
