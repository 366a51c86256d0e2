/** The tokens of a Hugging Face folder, as llama.cpp's converter makes them of a SentencePiece vocabulary. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FileToolError } from './errors.ts';
import { readOptionalJsonFile } from './json-file.ts';
import { readPieces, tokenType } from './sentencepiece.ts';

export interface Vocabulary {
  /** UTF-8, one a row of the embedding. */
  tokens: Uint8Array[];
  scores: Float32Array;
  /** Values of `tokenType`. */
  types: Int32Array;
  /** What was left out, one line each. */
  warnings: string[];
}

const addedTokens = z.record(z.string(), z.int().nonnegative());

const tokenizerConfig = z.looseObject({
  added_tokens_decoder: z.optional(
    z.record(
      z.string().regex(/^\d+$/),
      z.looseObject({ content: z.string(), special: z.optional(z.boolean()) }),
    ),
  ),
});

/** Added tokens have no rank among the merges. */
const addedScore = -1000;
const paddingScore = -10_000;

/**
 * The SentencePiece vocabulary holds Huozi's first 57,000 tokens; the two markers stand in added_tokens.json,
 * and rows of the embedding that nothing names are padded.
 *
 * @param size rows of the embedding, `vocab_size` in config.json
 * @throws FileToolError
 */
export async function readVocabulary(folder: string, size: number): Promise<Vocabulary> {
  const modelFile = join(folder, 'tokenizer.model');
  const bytes = await readFile(modelFile).catch((error: unknown) => {
    throw new FileToolError(modelFile, 'cannot be read: only SentencePiece vocabularies are known', {
      cause: error,
    });
  });
  const vocabulary: Vocabulary = {
    tokens: Array.from({ length: size }, (_, id) => Buffer.from(`[PAD${id}]`)),
    scores: new Float32Array(size).fill(paddingScore),
    types: new Int32Array(size).fill(tokenType.unused),
    warnings: [],
  };
  const set = (source: string, id: number, text: Uint8Array, score: number, type: number) => {
    if (id >= size) {
      vocabulary.warnings.push(`${source}: token ${id} left out, config.json has ${size} rows`);
      return;
    }
    vocabulary.tokens[id] = text;
    vocabulary.scores[id] = score;
    vocabulary.types[id] = type;
  };

  for (const [id, { text, score, type }] of readPieces(modelFile, bytes).entries()) {
    // The converter tells these four apart and takes everything else, user-defined pieces too, for normal.
    const kept: number[] = [tokenType.unknown, tokenType.control, tokenType.unused, tokenType.byte];
    set(modelFile, id, text, score, kept.includes(type) ? type : tokenType.normal);
  }

  const addedFile = join(folder, 'added_tokens.json');
  for (const [text, id] of Object.entries((await readOptionalJsonFile(addedFile, addedTokens)) ?? {})) {
    set(addedFile, id, Buffer.from(text), addedScore, tokenType.userDefined);
  }

  const configFile = join(folder, 'tokenizer_config.json');
  const decoder = (await readOptionalJsonFile(configFile, tokenizerConfig))?.added_tokens_decoder ?? {};
  for (const [id, { content, special }] of Object.entries(decoder)) {
    const isControl = special || looksSpecial(content);
    const text = isControl ? content : content.replaceAll('▁', ' ');
    const type = isControl ? tokenType.control : tokenType.userDefined;
    set(configFile, Number(id), Buffer.from(text), addedScore, type);
  }
  return vocabulary;
}

/** Some models mark as not special what ought to be. */
function looksSpecial(text: string): boolean {
  return (
    ['<pad>', '<mask>', '<2mass>', '[@BOS@]'].includes(text) ||
    (text.startsWith('<|') && text.endsWith('|>')) ||
    (text.startsWith('<｜') && text.endsWith('｜>')) ||
    (text.startsWith('<unused') && text.endsWith('>'))
  );
}
