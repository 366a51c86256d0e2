export type GgufProblem = 'missing' | 'unreachable' | 'not-gguf' | 'truncated' | 'damaged' | 'unsupported';

/** Why a GGUF file is refused, in one line that begins with its path or URL. */
export class GgufError extends Error {
  override name = 'GgufError';
  readonly problem: GgufProblem;
  readonly file: string;

  constructor(problem: GgufProblem, file: string, reason: string) {
    super(`${file}: ${reason}`.replaceAll(/\s+/g, ' '));
    this.problem = problem;
    this.file = file;
  }
}
