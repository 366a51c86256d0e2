/** Why a model's file was refused; each message is one line that names the file. */
export type ModelFileProblem =
  | 'missing'
  /** Not a GGUF file, cut short, or with contents that contradict each other. */
  | 'damaged'
  /** A GGUF of something else than a Mixtral-shaped llama with a SentencePiece vocabulary. */
  | 'unsupported'
  /** Huozi's turn markers are not in its vocabulary. */
  | 'no_markers'
  /** llama.cpp could not load it: usually memory. */
  | 'not_loadable';

export class ModelFileError extends Error {
  override name = 'ModelFileError';
  readonly problem: ModelFileProblem;
  readonly path: string;

  constructor(problem: ModelFileProblem, path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.problem = problem;
    this.path = path;
  }
}

/** The context (KV cache, compute buffers) could not be made. */
export class ContextError extends Error {
  override name = 'ContextError';
}

/** `llama_decode` failed; the generations that were in its batch ended with this. */
export class DecodeError extends Error {
  override name = 'DecodeError';
  /** What llama_decode returned. */
  readonly code: number;

  constructor(code: number, reason: string) {
    super(`llama_decode failed with ${code}${reason && `: ${reason}`}`);
    this.code = code;
  }
}
