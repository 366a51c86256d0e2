/** What planner and `inspect` need of a Mixtral-shaped model, read from its header. */
import { GgufError } from './errors.ts';
import type { GgufHeader, TensorInfo } from './header.ts';

/** Bytes of the weights of one layer. */
export interface LayerWeights {
  /** Attention, norms and the router: what every token reads. */
  attention: number;
  /** All experts' matrices by part; a token reads `expertsUsed / experts` of them. */
  experts: { gate: number; up: number; down: number };
}

export interface Model {
  uri: string;
  /** `general.name`, or ''. */
  name: string;
  architecture: string;
  layers: readonly LayerWeights[];
  embedding: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  /** Values of one head. */
  keyLength: number;
  valueLength: number;
  experts: number;
  expertsUsed: number;
  vocabulary: number;
  /** Positions that it was trained for. */
  trainedContext: number;
  /** One row is read per token; llama.cpp always keeps it in RAM. */
  tokenEmbeddingBytes: number;
  /** Output norm and matrix: llama.cpp's last layer. */
  outputBytes: number;
  parameters: { total: number; active: number };
  tensors: readonly TensorInfo[];
}

const expertPart = /^blk\.(\d+)\.ffn_(gate|up|down)(?:_exps|\.\d+)\.weight$/;
const layerTensor = /^blk\.(\d+)\./;

/** @throws GgufError if it is no mixture of experts of llama architecture, or lacks what one must have */
export function readModel(header: GgufHeader): Model {
  const { uri, metadata, tensors } = header;
  const unsupported = (reason: string) => new GgufError('unsupported', uri, reason);
  const architecture = metadata.get('general.architecture');
  if (architecture !== 'llama') {
    throw unsupported(
      `architecture ${JSON.stringify(architecture ?? null)}; only llama (Mixtral's) is known`,
    );
  }
  const count = (key: string, fallback?: number): number => {
    const raw = metadata.get(`llama.${key}`) ?? fallback;
    const values = Array.isArray(raw) ? raw : [raw];
    const value = values[0];
    if (
      !Number.isSafeInteger(value) ||
      value < 1 ||
      value > 2 ** 31 ||
      values.some((other) => other !== value)
    ) {
      throw new GgufError(
        'damaged',
        uri,
        `metadata llama.${key} is ${raw === undefined ? 'missing' : 'not usable'}`,
      );
    }
    return value;
  };
  if ((metadata.get('llama.expert_count') ?? 0) === 0) throw unsupported('has no experts: a dense model');

  const experts = count('expert_count');
  const expertsUsed = count('expert_used_count');
  if (expertsUsed > experts) throw new GgufError('damaged', uri, `uses ${expertsUsed} experts of ${experts}`);
  const blocks = count('block_count');
  if (blocks > tensors.length)
    throw new GgufError('damaged', uri, `${blocks} layers, but ${tensors.length} tensors`);
  const stray = tensors.find(({ name }) => Number(layerTensor.exec(name)?.[1]) >= blocks);
  if (stray)
    throw new GgufError('damaged', uri, `has ${blocks} layers, but a tensor ${stray.name.slice(0, 32)}`);
  const weights = weigh(tensors, blocks);
  if (weights.tokenEmbeddingBytes === 0) throw new GgufError('damaged', uri, 'has no token_embd.weight');
  for (const [i, { attention, experts: parts }] of weights.layers.entries()) {
    if (attention === 0 || parts.gate === 0 || parts.up === 0 || parts.down === 0) {
      throw new GgufError('damaged', uri, `layer ${i} is incomplete`);
    }
  }
  const embedding = count('embedding_length');
  const heads = count('attention.head_count');
  const tokens = metadata.get('tokenizer.ggml.tokens');
  return {
    uri,
    name: String(metadata.get('general.name') ?? ''),
    architecture,
    ...weights,
    embedding,
    feedForward: count('feed_forward_length'),
    heads,
    kvHeads: count('attention.head_count_kv', heads),
    keyLength: count('attention.key_length', embedding / heads),
    valueLength: count('attention.value_length', embedding / heads),
    experts,
    expertsUsed,
    vocabulary: Array.isArray(tokens) ? tokens.length : count('vocab_size'),
    trainedContext: count('context_length'),
    parameters: countParameters(tensors, expertsUsed / experts),
    tensors,
  };
}

/** The bytes of `tensors` by what llama.cpp places together. Names of layers beyond `blocks` are the caller's error. */
export function weigh(
  tensors: readonly TensorInfo[],
  blocks: number,
): Pick<Model, 'layers' | 'tokenEmbeddingBytes' | 'outputBytes'> {
  const layers = Array.from({ length: blocks }, () => ({
    attention: 0,
    experts: { gate: 0, up: 0, down: 0 },
  }));
  let embedding = 0;
  let output = 0;
  let outputNorm = 0;
  for (const { name, bytes } of tensors) {
    const layer = layers[Number(layerTensor.exec(name)?.[1])];
    const part = expertPart.exec(name)?.[2] as 'gate' | 'up' | 'down' | undefined;
    if (layer && part) layer.experts[part] += bytes;
    else if (layer) layer.attention += bytes;
    else if (name === 'token_embd.weight') embedding = bytes;
    else if (name === 'output.weight') output = bytes;
    else outputNorm += bytes;
  }
  // Tied embeddings: llama.cpp loads the matrix a second time as its output layer.
  return { layers, tokenEmbeddingBytes: embedding, outputBytes: (output || embedding) + outputNorm };
}

/** The embedding counts whole although a token reads one row, as model cards count. */
function countParameters(tensors: readonly TensorInfo[], activeShare: number): Model['parameters'] {
  let experts = 0;
  let rest = 0;
  for (const { name, shape } of tensors) {
    const values = shape.reduce((product, n) => product * n, 1);
    if (expertPart.test(name)) experts += values;
    else rest += values;
  }
  return { total: rest + experts, active: rest + experts * activeShare };
}

export const expertBytes = ({ experts: { gate, up, down } }: LayerWeights) => gate + up + down;
