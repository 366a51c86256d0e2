/** Which pairs of a PEFT adapter become which of llama.cpp's: names, the order of rows, what is stacked or taken apart. */
import type { GgufHeader } from '../gguf/header.ts';
import { type Model, readModel } from '../gguf/model.ts';
import { FileToolError } from './errors.ts';
import type { AdaptedModule, PeftAdapter } from './peft-adapter.ts';

/** An adapted tensor of the model, rows and columns as in a checkpoint. */
interface Adapted {
  name: string;
  columns: number;
  rows: number;
  /** 0: no stack of experts' matrices. */
  experts: number;
}

/** One pair of the GGUF file: for each expert `a` of [rank, columns] and `b` of [rows, rank]. */
export interface LoraPair extends Adapted {
  rank: number;
  sources: LoraSource[];
}

/** What one module of the adapter gives to a pair. */
export interface LoraSource {
  module: AdaptedModule;
  rank: number;
  /** What `b` is multiplied by, beside what llama.cpp does. */
  factor: number;
  /** Of the pair's experts; all of them in one stack, or one. */
  expert: number | 'all';
  /** In a stack: that `a` has the rows and `b` the columns. */
  columnsFirst: boolean;
  /** The pair's first row in the module: gate and up may be one matrix. */
  firstRow: number;
  /** Heads whose rows llama.cpp wants interleaved; 0 for none. */
  heads: number;
}

type Target = Omit<LoraSource, 'module' | 'factor'> & {
  tensor: Adapted;
  /** As PEFT's patterns name it. */
  parameter: string;
};

export const embeddingName = 'token_embd.weight';

const layerModule = /^model\.layers\.(\d+)\.(.+)$/;
const expertModule = /^block_sparse_moe\.experts\.(\d+)\.(w[123])$/;
/** Transformers 5: all experts' matrices in two parameters, whose wrappers PEFT puts into one another. */
const stackModule = /^(?:mlp|block_sparse_moe)\.experts(?:\.base_layer)*$/;

/**
 * @param base the model that the adapter is for
 * @throws FileToolError on a module that the model lacks or that is of another shape there; GgufError
 */
export function planPairs(adapter: PeftAdapter, base: GgufHeader): LoraPair[] {
  const model = readModel(base);
  const pairs = new Map<string, LoraPair>();
  for (const module of adapter.modules) {
    for (const { tensor, parameter, ...target } of targets(adapter, module, model)) {
      const pair = pairs.get(tensor.name) ?? { ...tensor, rank: 0, sources: [] };
      pairs.set(tensor.name, pair);
      pair.rank = Math.max(pair.rank, target.rank);
      pair.sources.push({ ...target, module, factor: adapter.scaling(parameter, target.rank) });
    }
  }
  for (const { rank, sources } of pairs.values()) {
    // llama.cpp itself multiplies by alpha over the rank.
    for (const source of sources) source.factor /= adapter.alpha / rank;
  }
  return [...pairs.values()];
}

function targets(adapter: PeftAdapter, module: AdaptedModule, model: Model): Target[] {
  const { name, a, b } = module;
  const [, layer = '', rest = ''] = layerModule.exec(name) ?? [];
  const inLayer = Number(layer) < model.layers.length ? rest : '';
  if (stackModule.test(inLayer)) return stackTargets(adapter, module, model, layer);
  const [, expert = '0', matrix] = expertModule.exec(inLayer) ?? [];
  const tensor = matrix ? expertTensor(model, layer, matrix) : singleTensor(model, name, layer, inLayer);
  if (!tensor || Number(expert) >= Math.max(1, tensor.experts)) {
    throw new FileToolError(adapter.weightsFile, `${name} cannot be adapted in ${model.uri}`);
  }
  if (a.shape[1] !== tensor.columns || b.shape[0] !== tensor.rows) {
    const [own, its] = [`[${b.shape[0]}, ${a.shape[1]}]`, `[${tensor.rows}, ${tensor.columns}]`];
    throw new FileToolError(adapter.weightsFile, `${name} is for ${own}, and ${model.uri} has ${its}`);
  }
  const heads = inLayer.endsWith('q_proj') ? model.heads : inLayer.endsWith('k_proj') ? model.kvHeads : 0;
  const one = { rank: a.shape[0]!, expert: Number(expert), columnsFirst: false, firstRow: 0, heads };
  return [{ ...one, tensor, parameter: name }];
}

function singleTensor(model: Model, name: string, layer: string, inLayer: string): Adapted | undefined {
  const { embedding, heads, kvHeads, keyLength, valueLength, vocabulary } = model;
  const of = (tensor: string, columns: number, rows: number) => ({
    ...{ name: `blk.${layer}.${tensor}.weight`, columns, rows, experts: 0 },
  });
  switch (inLayer || name) {
    case 'self_attn.q_proj':
      return of('attn_q', embedding, heads * keyLength);
    case 'self_attn.k_proj':
      return of('attn_k', embedding, kvHeads * keyLength);
    case 'self_attn.v_proj':
      return of('attn_v', embedding, kvHeads * valueLength);
    case 'self_attn.o_proj':
      return of('attn_output', heads * valueLength, embedding);
    case 'block_sparse_moe.gate':
    case 'mlp.gate':
      return of('ffn_gate_inp', embedding, model.experts);
    // From token to width.
    case 'model.embed_tokens':
      return { name: embeddingName, columns: vocabulary, rows: embedding, experts: 0 };
    case 'lm_head': {
      const output = 'output.weight';
      // Tied embeddings: the model has no matrix of its own there.
      if (!model.tensors.some((tensor) => tensor.name === output)) return undefined;
      return { name: output, columns: embedding, rows: vocabulary, experts: 0 };
    }
    default:
      return undefined;
  }
}

function expertTensor(model: Model, layer: string, matrix: string): Adapted {
  const { embedding, feedForward, experts } = model;
  const part = { w1: 'gate', w2: 'down', w3: 'up' }[matrix];
  const [columns, rows] = part === 'down' ? [feedForward, embedding] : [embedding, feedForward];
  return { name: `blk.${layer}.ffn_${part}_exps.weight`, columns, rows, experts };
}

/** Which of the two stacks it is, and which way round, its shape tells, except that a square one looks alike both ways. */
function stackTargets(adapter: PeftAdapter, module: AdaptedModule, model: Model, layer: string): Target[] {
  const { name, a, b } = module;
  const { embedding, feedForward, experts } = model;
  const rank = a.shape[0]! / experts;
  const [inputs, outputs] = [a.shape[1]!, b.shape[0]!];
  const fits = (columns: number, rows: number) => {
    const straight = inputs === columns && outputs === rows;
    const turned = inputs === rows && outputs === columns;
    return straight || turned
      ? { columnsFirst: turned && (!straight || adapter.stacksColumnsFirst) }
      : undefined;
  };
  const down = fits(feedForward, embedding);
  const both = fits(embedding, 2 * feedForward);
  if (!Number.isInteger(rank) || !(down || both)) {
    const shapes = `[${a.shape.join(', ')}] and [${b.shape.join(', ')}]`;
    throw new FileToolError(adapter.weightsFile, `${name}: no experts of ${model.uri} fit ${shapes}`);
  }
  const parent = name.replace(/(\.base_layer)+$/, '');
  const all = { rank, expert: 'all', heads: 0, ...(down ?? both!) } as const;
  const target = (matrix: string, parameter: string, firstRow: number) => ({
    ...{ ...all, firstRow, parameter: `${parent}.${parameter}` },
    tensor: expertTensor(model, layer, matrix),
  });
  if (down) return [target('w2', 'down_proj', 0)];
  return [target('w1', 'gate_up_proj', 0), target('w3', 'gate_up_proj', feedForward)];
}
