/**
 * Everything about a model's file that can be known to be wrong before llama.cpp sees it. Some of it would end the
 * process there (an assertion, a division by zero, a C++ exception through our stack); the rest would be an hour of
 * loading for nothing.
 */
import { GgufError } from '../gguf/errors.ts';
import { type GgufHeader, readHeader } from '../gguf/header.ts';
import { type Model, readModel } from '../gguf/model.ts';
import { huoziMarkers } from '../string-prompt.ts';
import { ModelFileError, type ModelFileProblem } from './model-errors.ts';

export interface ModelHeader {
  /** What the planner needs. */
  file: Model;
  name: string;
  experts: number;
  expertsUsed: number;
  /** SentencePiece's `▁` before each stretch of text; true unless the file says otherwise. */
  spacePrefix: boolean;
  /** Ids of the turn markers, found by their text: converters number and type them as they like. */
  begin: number;
  end: number;
}

/** llama.cpp's own limits, `LLAMA_MAX_EXPERTS` and `LLAMA_MAX_LAYERS`. */
const [maxExperts, maxLayers] = [512, 512];

/** @throws ModelFileError */
export async function readModelHeader(path: string): Promise<ModelHeader> {
  const header = await read(path, () => readHeader(path));
  const model = await read(path, () => readModel(header));
  const { experts, expertsUsed, heads, kvHeads, embedding, layers } = model;
  const damaged = (reason: string) => new ModelFileError('damaged', path, reason);
  if (experts > maxExperts) throw damaged(`${experts} experts, more than llama.cpp can hold`);
  if (layers.length > maxLayers) throw damaged(`${layers.length} layers, more than llama.cpp can hold`);
  if (heads % kvHeads !== 0) throw damaged(`its ${heads} heads cannot share ${kvHeads} KV heads evenly`);
  if (embedding % heads !== 0) throw damaged(`its width ${embedding} does not divide into ${heads} heads`);
  return {
    file: model,
    name: model.name || 'unnamed',
    experts,
    expertsUsed,
    spacePrefix: header.metadata.get('tokenizer.ggml.add_space_prefix') !== false,
    ...checkVocabulary(path, header),
  };
}

const problems: Record<GgufError['problem'], ModelFileProblem> = {
  missing: 'missing',
  unreachable: 'missing',
  'not-gguf': 'damaged',
  truncated: 'damaged',
  damaged: 'damaged',
  unsupported: 'unsupported',
};

async function read<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof GgufError)) throw error;
    throw new ModelFileError(problems[error.problem], path, error.message.slice(error.file.length + 2));
  }
}

function checkVocabulary(path: string, { metadata }: GgufHeader): { begin: number; end: number } {
  const tokenizer = metadata.get('tokenizer.ggml.model');
  if (tokenizer !== 'llama') {
    const found = JSON.stringify(tokenizer ?? null).slice(0, 64);
    throw new ModelFileError(
      'unsupported',
      path,
      `its tokenizer is ${found}, expected SentencePiece ("llama")`,
    );
  }
  const list = (key: string) => {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    return Array.isArray(value) ? value : [];
  };
  const tokens = list('tokens');
  const types = list('token_type');
  if (types.length !== tokens.length || list('scores').length !== tokens.length) {
    throw new ModelFileError('damaged', path, `${tokens.length} tokens need as many types and scores`);
  }
  const ids = new Map<string, number>();
  for (const [id, text] of tokens.entries()) {
    const first = ids.get(text);
    // llama.cpp renames empty ones itself.
    if (first !== undefined && text !== '')
      throw new ModelFileError('damaged', path, `tokens ${first} and ${id} are the same`);
    ids.set(text, id);
  }
  for (let byte = 0; byte < 256; byte++) {
    const text = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    if (types[ids.get(text) ?? -1] === byteType) continue;
    throw new ModelFileError('unsupported', path, `its vocabulary has no byte token ${text}`);
  }
  for (const key of ['bos_token_id', 'eos_token_id']) {
    const id = metadata.get(`tokenizer.ggml.${key}`);
    if (typeof id === 'number' && id < tokens.length) continue;
    throw new ModelFileError('unsupported', path, `its vocabulary has no ${key}`);
  }
  const [begin, end] = [ids.get(huoziMarkers.begin), ids.get(huoziMarkers.end)];
  if (begin === undefined || end === undefined) {
    const missing = begin === undefined ? huoziMarkers.begin : huoziMarkers.end;
    throw new ModelFileError('no_markers', path, `no ${missing} in its vocabulary`);
  }
  return { begin, end };
}

/** `LLAMA_TOKEN_TYPE_BYTE`. */
const byteType = 6;
