/** What a Mixtral-shaped model weighs part by part, from config.json, from a GGUF's header, or Huozi's known shape. */

import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { headDim, readMixtralConfig } from '../../files/mixtral-config.ts';
import { readHeader } from '../../gguf/header.ts';
import { readModel } from '../../gguf/model.ts';

export interface Shape {
  name: string;
  layers: number;
  hidden: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  experts: number;
  expertsUsed: number;
  /** Rows of the embedding. */
  vocabulary: number;
  /** Positions that it was trained for. */
  trainedContext: number;
}

/** Huozi 3.5, for those who have no file of it yet. */
const huoziShape: Shape = {
  name: 'Huozi 3.5',
  layers: 32,
  hidden: 4096,
  feedForward: 14_336,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  experts: 8,
  expertsUsed: 2,
  vocabulary: 57_002,
  trainedContext: 32_768,
};

/**
 * @param model `huozi`, a Hugging Face folder or its config.json, or a GGUF (path or URL)
 * @throws FileToolError, GgufError
 */
export async function readShape(model: string): Promise<Shape> {
  if (model === 'huozi') return huoziShape;
  const isFolder = await stat(model).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isFolder || basename(model) === 'config.json') return ofConfig(isFolder ? model : dirname(model));
  const file = readModel(await readHeader(model));
  const { layers, embedding, keyLength, trainedContext, ...rest } = file;
  const { heads, kvHeads, feedForward, experts, expertsUsed, vocabulary } = rest;
  return {
    ...{ heads, kvHeads, feedForward, experts, expertsUsed, vocabulary, trainedContext },
    name: file.name || model,
    layers: layers.length,
    hidden: embedding,
    headDim: keyLength,
  };
}

async function ofConfig(folder: string): Promise<Shape> {
  const config = await readMixtralConfig(folder);
  return {
    name: config._name_or_path || folder,
    layers: config.num_hidden_layers,
    hidden: config.hidden_size,
    feedForward: config.intermediate_size,
    heads: config.num_attention_heads,
    kvHeads: config.num_key_value_heads,
    headDim: headDim(config),
    experts: config.num_local_experts,
    expertsUsed: config.num_experts_per_tok,
    vocabulary: config.vocab_size,
    trainedContext: config.max_position_embeddings,
  };
}
