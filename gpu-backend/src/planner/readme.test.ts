/** The README's table is what the planner says today. `vitest run -u` writes it anew. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { planAutomatically } from './auto.ts';
import { defaultBandwidths, ramBandwidths, vramBandwidths } from './bandwidth.ts';
import { syntheticModel } from './testing/models.ts';

const readme = fileURLToPath(new URL('../../README.md', import.meta.url));
const begin = '<!-- hardware table: made by src/planner/readme.test.ts -->\n';
const end = '<!-- end -->';

/** Memory, and a card that has it. */
const cards = [
  [8, 'rtx-4060-ti'],
  [12, 'rtx-3060'],
  [16, 'rtx-4070-ti-super'],
  [24, 'rtx-4090'],
  [48, 'l40s'],
  [80, 'h100-sxm'],
] as const;
const fileTypes = ['Q2_K', 'Q4_K_M', 'Q8_0'] as const;
const ram = 64e9;

async function cell(gb: number, card: string, fileType: (typeof fileTypes)[number]): Promise<string> {
  const machine = {
    vram: [gb * 1e9],
    ram,
    vramBandwidth: vramBandwidths[card] ?? 0,
    ramBandwidth: ramBandwidths[defaultBandwidths.ram] ?? 0,
  };
  const workload = { context: 8192, slots: 8, kvType: 'f16', batch: 512 } as const;
  const plan = planAutomatically(await syntheticModel('huozi', fileType), machine, workload);
  if (!plan.fits) return 'does not fit';
  const { gpuLayers, cpuExpertLayers } = plan.placement;
  const where =
    gpuLayers < 33
      ? `${gpuLayers} layers`
      : cpuExpertLayers === 0
        ? 'all on the GPU'
        : `${cpuExpertLayers} in RAM`;
  return `${where}, ${plan.ceiling.toFixed(0)}`;
}

test('the hardware table', async () => {
  const rows = [['VRAM', 'card', ...fileTypes]];
  for (const [gb, card] of cards) {
    rows.push([`${gb} GB`, card, ...(await Promise.all(fileTypes.map((type) => cell(gb, card, type))))]);
  }
  rows.splice(1, 0, rows[0]?.map(() => '---') ?? []);
  const table = rows.map((row) => `| ${row.join(' | ')} |\n`).join('');
  const [before, rest] = split(readFileSync(readme, 'utf8'), begin);
  const [, after] = split(rest, end);
  await expect(`${before}${begin}${table}${end}${after}`).toMatchFileSnapshot(readme);
});

function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  expect(at, `README.md holds ${mark}`).toBeGreaterThanOrEqual(0);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
