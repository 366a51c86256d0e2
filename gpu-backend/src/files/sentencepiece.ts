/**
 * The vocabulary in a SentencePiece `tokenizer.model`.
 * https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
 */
import { PbfReader } from 'pbf';
import { FileToolError } from './errors.ts';

/** The same numbers in SentencePiece, in llama.cpp's converter and in GGUF. */
export const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface Piece {
  /** UTF-8. Bytes, because a decoder would eat a byte order mark, which is a token of its own in Mistral's. */
  text: Uint8Array;
  /** float32: −rank of the merge, for BPE. */
  score: number;
  /** A value of `tokenType`. */
  type: number;
}

/** @throws FileToolError when `bytes` are no SentencePiece model */
export function readPieces(file: string, bytes: Uint8Array): Piece[] {
  let pieces: Piece[];
  try {
    pieces = new PbfReader(bytes).readFields(readModelField, [] as Piece[]);
  } catch (error) {
    throw new FileToolError(file, 'is no SentencePiece model', { cause: error });
  }
  if (pieces.length === 0) throw new FileToolError(file, 'is no SentencePiece model: it holds no pieces');
  return pieces;
}

function readModelField(tag: number, pieces: Piece[], pbf: PbfReader): void {
  if (tag !== 1) return;
  pieces.push(
    pbf.readMessage(readPieceField, { text: new Uint8Array(), score: 0, type: tokenType.normal } as Piece),
  );
}

function readPieceField(tag: number, piece: Piece, pbf: PbfReader): void {
  if (tag === 1) piece.text = pbf.readBytes();
  else if (tag === 2) piece.score = pbf.readFloat();
  else if (tag === 3) piece.type = pbf.readVarint();
}
