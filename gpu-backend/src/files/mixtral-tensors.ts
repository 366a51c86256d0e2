/** Which tensors of a Mixtral checkpoint become which of a GGUF file: names, order, types, what is stacked. */
import type { Checkpoint } from './checkpoint.ts';
import { FileToolError } from './errors.ts';
import type { TensorInfo, TensorType } from './gguf-header.ts';
import { headDim, type MixtralConfig } from './mixtral-config.ts';
import { q8BlockWeights } from './q8-0.ts';
import { isFloatType, type TensorPlace } from './safetensors.ts';

export interface PlannedTensor extends TensorInfo {
  /** One after another they are the tensor: a stack of experts, or a single one. */
  sources: readonly TensorPlace[];
  /** Heads whose rows llama.cpp wants interleaved; 0 leaves the rows as they are. */
  interleavedHeads: number;
}

interface Target {
  name: string;
  shape: readonly number[];
  interleavedHeads?: number;
}

/** Which matrix of an expert is which; in the order in which the converter writes them. */
const expertMatrices = { w1: 'ffn_gate_exps', w2: 'ffn_down_exps', w3: 'ffn_up_exps' } as const;

const expertName = /^model\.layers\.(\d+)\.block_sparse_moe\.experts\.(\d+)\.(w[123])\.weight$/;

/**
 * In the order of llama.cpp's converter: as the shards come, a layer's experts when the last of them has come.
 *
 * @throws FileToolError on a tensor that is missing, unknown, or of another shape or element type
 */
export function planTensors(
  checkpoint: Checkpoint,
  config: MixtralConfig,
  type: TensorType,
): PlannedTensor[] {
  const targets = singleTargets(config);
  const expertShapes = {
    w1: [config.intermediate_size, config.hidden_size],
    w2: [config.hidden_size, config.intermediate_size],
    w3: [config.intermediate_size, config.hidden_size],
  };
  const experts = config.num_local_experts;
  const seen = new Map<number, number>();
  const planned: PlannedTensor[] = [];

  for (const [name, place] of checkpoint.tensors) {
    if (name.endsWith('.rotary_emb.inv_freq')) continue;
    const target = targets.get(name);
    if (target) {
      check(place, target.shape);
      const { interleavedHeads = 0 } = target;
      planned.push({
        name: target.name,
        type: storedType(target.name, target.shape, type),
        shape: target.shape,
        sources: [place],
        interleavedHeads,
      });
      targets.delete(name);
      continue;
    }
    const [, layerText, expertText, matrix] = expertName.exec(name) ?? [];
    const layer = Number(layerText);
    if (!matrix || layer >= config.num_hidden_layers || Number(expertText) >= experts) {
      throw new FileToolError(place.file, `tensor ${name} has no place in the model of config.json`);
    }
    check(place, expertShapes[matrix as keyof typeof expertShapes]);
    const count = (seen.get(layer) ?? 0) + 1;
    seen.set(layer, count);
    if (count < experts * 3) continue;
    for (const [wid, ggufName] of Object.entries(expertMatrices)) {
      const shape = [experts, ...expertShapes[wid as keyof typeof expertShapes]];
      const sources = Array.from(
        { length: experts },
        (_, expert) =>
          checkpoint.tensors.get(`model.layers.${layer}.block_sparse_moe.experts.${expert}.${wid}.weight`)!,
      );
      const fullName = `blk.${layer}.${ggufName}.weight`;
      planned.push({
        name: fullName,
        type: storedType(fullName, shape, type),
        shape,
        sources,
        interleavedHeads: 0,
      });
    }
  }
  // Tied embeddings: the file has no output matrix, and llama.cpp takes token_embd for it.
  targets.delete('lm_head.weight');
  const [missing] = targets.keys();
  if (missing) throw new FileToolError(checkpoint.folder, `tensor ${missing} is missing`);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const found = seen.get(layer) ?? 0;
    if (found < experts * 3) {
      throw new FileToolError(
        checkpoint.folder,
        `layer ${layer} has ${found} of the ${experts * 3} expert matrices`,
      );
    }
  }
  return planned;
}

function singleTargets(config: MixtralConfig): Map<string, Target> {
  const { hidden_size: hidden, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const queryRows = heads * headDim(config);
  const keyRows = kvHeads * headDim(config);
  const targets = new Map<string, Target>([
    ['model.embed_tokens.weight', { name: 'token_embd.weight', shape: [config.vocab_size, hidden] }],
    ['model.norm.weight', { name: 'output_norm.weight', shape: [hidden] }],
    ['lm_head.weight', { name: 'output.weight', shape: [config.vocab_size, hidden] }],
  ]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const add = (from: string, to: string, shape: number[], interleavedHeads = 0) =>
      targets.set(`model.layers.${layer}.${from}.weight`, {
        name: `blk.${layer}.${to}.weight`,
        shape,
        interleavedHeads,
      });
    add('input_layernorm', 'attn_norm', [hidden]);
    add('post_attention_layernorm', 'ffn_norm', [hidden]);
    add('self_attn.q_proj', 'attn_q', [queryRows, hidden], heads);
    add('self_attn.k_proj', 'attn_k', [keyRows, hidden], kvHeads);
    add('self_attn.v_proj', 'attn_v', [keyRows, hidden]);
    add('self_attn.o_proj', 'attn_output', [hidden, queryRows]);
    add('block_sparse_moe.gate', 'ffn_gate_inp', [config.num_local_experts, hidden]);
  }
  return targets;
}

function check(place: TensorPlace, shape: readonly number[]): void {
  if (!isFloatType(place.dtype)) {
    throw new FileToolError(place.file, `tensor ${place.name} is ${place.dtype}; F32, F16 and BF16 are read`);
  }
  if (place.shape.join() !== shape.join()) {
    throw new FileToolError(
      place.file,
      `tensor ${place.name} is [${place.shape.join(', ')}], and config.json makes it [${shape.join(', ')}]`,
    );
  }
}

/** Norms and routers stay float32; a row that Q8_0's blocks do not divide becomes F16. */
function storedType(name: string, shape: readonly number[], wanted: TensorType): TensorType {
  if (shape.length === 1 || name.endsWith('.ffn_gate_inp.weight')) return 'F32';
  return wanted === 'Q8_0' && shape.at(-1)! % q8BlockWeights !== 0 ? 'F16' : wanted;
}
