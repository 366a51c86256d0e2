import type { AnswerGrammar } from '../engine/types.ts';
import { Grammar } from '../grammar/automaton.ts';
import { InvalidGrammarError, InvalidSchemaError } from '../grammar/errors.ts';
import { jsonObjectGrammar, jsonSchemaGrammar } from '../grammar/json-schema.ts';
import { toolsGrammar } from '../grammar/tools.ts';
import type { GenerateRequest } from '../protocol.ts';
import { ApiError } from './errors.ts';

/**
 * The grammar that a request's `format` stands for, known to be one.
 * @throws InvalidSchemaError, InvalidGrammarError, GrammarTooAmbiguousError, ApiError
 */
export function answerGrammar(format: NonNullable<GenerateRequest['format']>): AnswerGrammar {
  if (format.type === 'grammar') {
    const { gbnf } = format;
    void new Grammar(gbnf);
    return { gbnf };
  }
  const grammar = fromSchema(format);
  try {
    void new Grammar(grammar.gbnf);
  } catch (error) {
    // Ours are well-formed: what is wrong is a schema that refers to itself before anything else.
    if (error instanceof InvalidGrammarError) throw new InvalidSchemaError('$ref', '', 'leads to itself');
    throw error;
  }
  return grammar;
}

function fromSchema(
  format: Exclude<NonNullable<GenerateRequest['format']>, { type: 'grammar' }>,
): AnswerGrammar {
  switch (format.type) {
    case 'json_object':
      return { gbnf: jsonObjectGrammar() };
    case 'json_schema':
      return { gbnf: jsonSchemaGrammar(format.schema) };
    case 'tools': {
      const { tools, choice } = format;
      if (typeof choice === 'object' && !tools.some(({ name }) => name === choice.name)) {
        const init = { param: 'format.choice', code: 'invalid_value' };
        throw new ApiError(400, `format.choice: there is no tool ${JSON.stringify(choice.name)}.`, init);
      }
      return toolsGrammar(format);
    }
    default:
      return format satisfies never;
  }
}
