/**
 * What is known of a model without its weights and without llama.cpp: enough to write prompts as token ids for an
 * engine elsewhere, and to read its answers. From a GGUF's header, or from a Hugging Face folder.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ControlTokens } from '../engine/model.ts';
import { ModelFileError } from '../engine/model-errors.ts';
import { readModelHeader } from '../engine/model-header.ts';
import { PlainTokenizer } from '../engine/spm.ts';
import { TokenPieces } from '../engine/token-pieces.ts';
import { encodeSegments } from '../engine/tokenizer.ts';
import type { Metadata } from '../files/gguf-header.ts';
import { readOptionalJsonFile } from '../files/json-file.ts';
import { readMixtralConfig } from '../files/mixtral-config.ts';
import { tokenType } from '../files/sentencepiece.ts';
import { addSpecialTokens } from '../files/special-tokens.ts';
import { readVocabulary } from '../files/vocabulary.ts';
import { readHeader } from '../gguf/header.ts';
import { markerTexts } from '../gguf/markers.ts';
import { tokenAttribute, type Vocabulary } from '../native/model.ts';
import type { Segment } from '../protocol.ts';

/** Read from the model's files; the engine may be told to allow less than `trainedContext`. */
export interface KnownModel {
  name: string;
  trainedContext: number;
  layers: number;
  experts: number;
  expertsUsed: number;
  vocabulary: number;
  tokens: ControlTokens;
  pieces: TokenPieces;
  /** No text segment can yield bos, eos or a marker. */
  tokenize(segments: readonly Segment[]): Int32Array;
}

/**
 * @param path a GGUF (any shard of a split one), or a Hugging Face folder with config.json and tokenizer.model
 * @throws ModelFileError, FileToolError
 */
export async function readKnownModel(path: string): Promise<KnownModel> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? ofFolder(path) : ofGguf(path);
}

async function ofGguf(path: string): Promise<KnownModel> {
  const { file, begin, end, name, experts, expertsUsed, spacePrefix } = await readModelHeader(path);
  const { metadata } = await readHeader(path);
  const list = (key: string) => metadata.get(`tokenizer.ggml.${key}`) as never[];
  const [bos, eos] = ['bos', 'eos'].map((key) => metadata.get(`tokenizer.ggml.${key}_token_id`) as number);
  const tokens = { bos: bos!, eos: eos!, begin, end };
  const texts: string[] = list('tokens');
  return {
    ...{ name, experts, expertsUsed },
    trainedContext: file.trainedContext,
    layers: file.layers.length,
    ...textsAndIds(texts, list('token_type'), Float32Array.from(list('scores')), tokens, spacePrefix),
  };
}

const tokenizerConfig = z.looseObject({ add_prefix_space: z.nullish(z.boolean()) });
const bytesToText = new TextDecoder('utf-8', { ignoreBOM: true });

async function ofFolder(folder: string): Promise<KnownModel> {
  const config = await readMixtralConfig(folder);
  const vocabulary = await readVocabulary(folder, config.vocab_size);
  const texts = vocabulary.tokens.map((bytes) => bytesToText.decode(bytes));
  const special: Metadata = new Map();
  await addSpecialTokens(folder, config.vocab_size, special);
  const id = (text: string) => {
    const found = texts.indexOf(text);
    if (found < 0) throw new ModelFileError('no_markers', folder, `no ${text} in its vocabulary`);
    return found;
  };
  const named = (kind: 'bos' | 'eos') => {
    const found = special.get(`tokenizer.ggml.${kind}_token_id`)?.value;
    if (typeof found === 'number') return found;
    throw new ModelFileError('unsupported', folder, `its files name no ${kind} token`);
  };
  const [begin, end] = markerTexts.map(id);
  const tokens = { bos: named('bos'), eos: named('eos'), begin: begin!, end: end! };
  const { add_prefix_space } =
    (await readOptionalJsonFile(join(folder, 'tokenizer_config.json'), tokenizerConfig)) ?? {};
  return {
    name: config._name_or_path || 'unnamed',
    trainedContext: config.max_position_embeddings,
    layers: config.num_hidden_layers,
    experts: config.num_local_experts,
    expertsUsed: config.num_experts_per_tok,
    ...textsAndIds(texts, vocabulary.types, vocabulary.scores, tokens, add_prefix_space !== false),
  };
}

function textsAndIds(
  texts: string[],
  types: ArrayLike<number>,
  scores: Float32Array,
  tokens: ControlTokens,
  spacePrefix: boolean,
): Pick<KnownModel, 'vocabulary' | 'tokens' | 'pieces' | 'tokenize'> {
  const attributes = Int32Array.from(types, (type) => attributeOf[type] ?? tokenAttribute.normal);
  const vocabulary: Vocabulary = { texts, attributes, scores, bos: tokens.bos, eos: tokens.eos };
  const pieces = new TokenPieces(vocabulary, [tokens.bos, tokens.eos, tokens.begin, tokens.end]);
  const plain = new PlainTokenizer(vocabulary, pieces);
  const prefix = spacePrefix ? ' ' : '';
  return {
    vocabulary: texts.length,
    tokens,
    pieces,
    tokenize: (segments) =>
      // UTF-8 has no halves of surrogate pairs.
      encodeSegments(segments, tokens, (text) => plain.encode(prefix + Buffer.from(text).toString())),
  };
}

/** GGUF's token types as llama.cpp's attributes. */
const attributeOf: Readonly<Record<number, number>> = {
  [tokenType.normal]: tokenAttribute.normal,
  [tokenType.unknown]: tokenAttribute.unknown,
  [tokenType.control]: tokenAttribute.control,
  [tokenType.userDefined]: tokenAttribute.userDefined,
  [tokenType.unused]: tokenAttribute.unused,
  [tokenType.byte]: tokenAttribute.byte,
};
