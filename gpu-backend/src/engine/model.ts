import type { Model as ModelFile } from '../gguf/model.ts';
import { hasSeparateExperts } from '../gguf/stack-experts.ts';
import { type NativeModel, openModel, readVocabulary, type Vocabulary } from '../native/model.ts';
import type { ModelPlacement } from '../native/placement.ts';
import { ModelFileError } from './model-errors.ts';
import { readModelHeader } from './model-header.ts';
import { stackedModel } from './stacked-model.ts';
import { TokenPieces } from './token-pieces.ts';

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
  spacePrefix: boolean;
}

/**
 * Loads a model's file. Nothing of its shape is assumed: it is read and checked.
 * @param place says where it goes, once its header is read; without, all of it stays in RAM
 * @throws ModelFileError that says in one line why not, and what `place` throws
 */
export async function loadModel(
  path: string,
  place: (file: ModelFile) => ModelPlacement = () => ({ gpuLayers: 0 }),
): Promise<Model> {
  const { begin, end, file, ...header } = await readModelHeader(path);
  // Where it goes is checked before a copy of many gigabytes is written.
  const placement = place(file);
  const loadable = hasSeparateExperts(file.tensors) ? await stackedModel(path) : path;
  const native = await openModel(loadable, placement);
  if ('failure' in native) throw new ModelFileError('not_loadable', path, native.failure);
  const vocabulary = readVocabulary(native);
  const { bos, eos } = vocabulary;
  const pieces = new TokenPieces(vocabulary, [bos, eos, begin, end]);
  return { ...header, native, vocabulary, pieces, tokens: { bos, eos, begin, end } };
}
