/** Loads a model's file, or says in one line why not. Nothing of its shape is assumed: it is read and checked. */
import { open } from 'node:fs/promises';
import { readMetadata } from '../native/gguf.ts';
import { type NativeModel, openModel, readVocabulary, type Vocabulary } from '../native/model.ts';
import { ModelFileError } from './model-errors.ts';
import { TokenPieces } from './token-pieces.ts';

const markers = { begin: '<|beginofutterance|>', end: '<|endofutterance|>' };

export interface ControlTokens {
  bos: number;
  eos: number;
  begin: number;
  end: number;
}

export interface Model {
  native: NativeModel;
  name: string;
  vocabulary: Vocabulary;
  pieces: TokenPieces;
  tokens: ControlTokens;
  experts: number;
  expertsUsed: number;
  /** SentencePiece's `▁` before each stretch of text; true unless the file says otherwise. */
  spacePrefix: boolean;
}

/** @throws ModelFileError */
export async function loadModel(path: string, gpuLayers: number): Promise<Model> {
  await checkMagic(path);
  const header = checkHeader(path);
  const native = await openModel(path, gpuLayers);
  if ('failure' in native) {
    // llama.cpp says this of files that were cut short; the rest is memory and devices.
    const damaged = /corrupt|incomplete|tensor|magic|invalid/.test(native.failure);
    throw new ModelFileError(damaged ? 'damaged' : 'not_loadable', path, native.failure);
  }
  try {
    return { ...header, native, ...checkVocabulary(path, readVocabulary(native)) };
  } catch (error) {
    native.free();
    throw error;
  }
}

async function checkMagic(path: string): Promise<void> {
  const magic = Buffer.alloc(4);
  try {
    const file = await open(path);
    try {
      await file.read(magic, 0, 4, 0);
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ModelFileError('missing', path, code === 'ENOENT' ? 'no such file' : message);
  }
  if (magic.toString('latin1') !== 'GGUF') throw new ModelFileError('damaged', path, 'not a GGUF file');
}

/** Counts that llama.cpp computes with before it doubts them: a zero among them would end the process. */
const counts = {
  'llama.block_count': 4096,
  'llama.context_length': 2 ** 31 - 1,
  'llama.embedding_length': 2 ** 20,
  'llama.feed_forward_length': 2 ** 22,
  'llama.attention.head_count': 4096,
  'llama.attention.head_count_kv': 4096,
};
const architectureKey = 'general.architecture';
const nameKey = 'general.name';
const expertsKey = 'llama.expert_count';
const expertsUsedKey = 'llama.expert_used_count';
const spacePrefixKey = 'tokenizer.ggml.add_space_prefix';
const tokenizerKey = 'tokenizer.ggml.model';

function checkHeader(path: string) {
  const strings = [architectureKey, nameKey, tokenizerKey, spacePrefixKey];
  const header = readMetadata(path, [...strings, expertsKey, expertsUsedKey, ...Object.keys(counts)]);
  if ('failure' in header) throw new ModelFileError('damaged', path, header.failure);
  const refuse = (reason: string) => new ModelFileError('unsupported', path, reason);

  const architecture = header.get(architectureKey);
  if (architecture !== 'llama') throw refuse(`its architecture is "${architecture}", expected "llama"`);
  const experts = Number(header.get(expertsKey) ?? 0);
  const expertsUsed = Number(header.get(expertsUsedKey) ?? 0);
  if (experts === 0) throw refuse('it has no experts (llama.expert_count), expected a mixture of experts');
  if (!(experts <= 512 && expertsUsed >= 1 && expertsUsed <= experts)) {
    throw new ModelFileError('damaged', path, `it uses ${expertsUsed} of ${experts} experts a token`);
  }
  for (const [key, most] of Object.entries(counts)) {
    const value = header.get(key);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most) {
      throw new ModelFileError('damaged', path, `its ${key} is ${value}`);
    }
  }
  const heads = Number(header.get('llama.attention.head_count'));
  if (heads % Number(header.get('llama.attention.head_count_kv')) !== 0) {
    throw new ModelFileError('damaged', path, `its ${heads} heads cannot share its KV heads evenly`);
  }
  if (header.get(tokenizerKey) !== 'llama') {
    throw refuse(`its tokenizer is "${header.get(tokenizerKey)}", expected SentencePiece ("llama")`);
  }
  return {
    name: String(header.get(nameKey) ?? 'unnamed'),
    experts,
    expertsUsed,
    spacePrefix: header.get(spacePrefixKey) !== false,
  };
}

/** Also needed for a vocabulary that stands alone, in tests. */
export function checkVocabulary(path: string, vocabulary: Vocabulary) {
  const begin = vocabulary.texts.indexOf(markers.begin);
  const end = vocabulary.texts.indexOf(markers.end);
  if (begin < 0 || end < 0) {
    throw new ModelFileError(
      'no_markers',
      path,
      `no ${begin < 0 ? markers.begin : markers.end} in its vocabulary`,
    );
  }
  const { bos, eos } = vocabulary;
  if (bos < 0 || eos < 0)
    throw new ModelFileError('unsupported', path, 'its vocabulary has no bos or no eos token');
  const pieces = new TokenPieces(vocabulary, [bos, eos, begin, end]);
  // llama.cpp's tokenizer would throw through our stack at the first character that needs one.
  const missing = pieces.byteTokens.indexOf(-1);
  if (missing >= 0)
    throw new ModelFileError('unsupported', path, `its vocabulary has no token for byte ${missing}`);
  return { vocabulary, pieces, tokens: { bos, eos, begin, end } };
}
