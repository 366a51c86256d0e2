/** The GBNF of a request is none. The message says where and why. */
export class InvalidGrammarError extends Error {
  override name = 'InvalidGrammarError';
}

/** A JSON schema that is none, or one that cannot be honoured as it stands. */
export class InvalidSchemaError extends Error {
  override name = 'InvalidSchemaError';
  /** What is wrong, such as `multipleOf`. */
  readonly keyword: string;

  constructor(keyword: string, path: string, reason: string) {
    const where = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    super(`${where === '' ? '' : `${where}: `}${keyword} ${reason}`);
    this.keyword = keyword;
  }
}

/** A grammar that allows so many readings of what was written that following them all is no longer quick. */
export class GrammarTooAmbiguousError extends Error {
  override name = 'GrammarTooAmbiguousError';

  constructor() {
    super('the grammar is too ambiguous to be followed');
  }
}
