/** A conversation before it is a prompt: what chat completions and `/v1/tokenize` have in common. */
import * as z from 'zod/mini';
import { type AnswerFormat, answerFormat, formatFields } from './answer-format.ts';
import { type Ending, type Turn, withSystemSections } from './chatml.ts';
import { refuse } from './errors.ts';
import { messages, toTurns } from './messages.ts';
import { chosenTools, type Tools, toolFields } from './tools.ts';

export interface Conversation {
  turns: Turn[];
  ending: Ending;
}

export const conversationFields = {
  messages,
  ...toolFields,
  /** As at vLLM: whether the prompt ends with a new turn of the assistant. */
  add_generation_prompt: z.optional(z.boolean()),
  /** As at vLLM: whether the answer goes on with the last message, which is the assistant's. */
  continue_final_message: z._default(z.boolean(), false),
};

const fieldsSchema = z.object({ ...conversationFields, ...formatFields });

/** Throws an EdgeError where fields contradict each other. */
export function conversation(fields: z.output<typeof fieldsSchema>): Conversation & {
  tools: Tools | undefined;
  answer: AnswerFormat | undefined;
} {
  const tools = chosenTools(fields);
  const answer = answerFormat(fields);
  if (tools && answer) {
    refuse(answer.field, 'cannot be asked for beside tools, unless tool_choice is "none".');
  }
  const sections = [tools?.section, answer?.section].filter((section) => section !== undefined);
  return {
    turns: withSystemSections(toTurns(fields.messages), sections),
    ending: ending(fields),
    tools,
    answer,
  };
}

function ending(fields: z.output<typeof fieldsSchema>): Ending {
  const { add_generation_prompt, continue_final_message, messages } = fields;
  if (!continue_final_message) return add_generation_prompt === false ? 'closed' : 'new_turn';
  const param = 'continue_final_message';
  if (add_generation_prompt) refuse(param, 'contradicts add_generation_prompt.');
  const { role } = messages.at(-1)!;
  if (role !== 'assistant' && role !== '助手') refuse(param, 'the last message is not the assistant’s.');
  return 'continued';
}
