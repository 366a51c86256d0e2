/** The plans in `docs/tuning.md`, of the real planner on a header of Huozi's shape, as `plan` prints them. */
import { planAutomatically } from '../../gpu-backend/src/planner/auto.ts';
import { ramBandwidths, vramBandwidths } from '../../gpu-backend/src/planner/bandwidth.ts';
import { planAsText } from '../../gpu-backend/src/planner/report.ts';
import { syntheticModel } from '../../gpu-backend/src/planner/testing/models.ts';

/** Memory in GB, a card that has it, and the file that is put there. */
const machines = [
  [8, 'rtx-4060-ti', 'Q2_K'],
  [12, 'rtx-3060', 'Q4_K_M'],
  [16, 'rtx-4070-ti-super', 'Q4_K_M'],
  [24, 'rtx-4090', 'Q4_K_M'],
  [48, 'l40s', 'Q4_K_M'],
  [80, 'h100-sxm', 'Q8_0'],
] as const;
const ram = 'ddr5-5600x2';
const workload = { context: 8192, slots: 8, kvType: 'f16', batch: 512 } as const;

/** Markdown: for each card the command, and what it prints. */
export async function plans(): Promise<string> {
  const parts: string[] = [];
  for (const [gb, card, fileType] of machines) {
    const file = `huozi3.5-${fileType}.gguf`;
    const model = { ...(await syntheticModel('huozi', fileType)), uri: file };
    const machine = {
      vram: [gb * 1e9],
      ram: 64e9,
      vramBandwidth: vramBandwidths[card]!,
      ramBandwidth: ramBandwidths[ram]!,
    };
    const text = planAsText(planAutomatically(model, machine, workload), []);
    const command = `npx huozi-gpu-backend plan ${file} --vram ${gb}GB --ram 64GB --vram-bandwidth ${card} --context 8192`;
    parts.push(`### ${gb} GB\n\n\`\`\`sh run\n${command}\n\`\`\`\n\n\`\`\`text\n${text}\`\`\`\n`);
  }
  return parts.join('\n');
}
