/** `huozi/tools`: functions that the model may call, and the loop that lets it. */
import type { ChatCompletionCreateParams, ChatCompletionMessageParam, ChatToolCall } from './chat-types.ts';
import type { Huozi } from './client.ts';
import { AbortError, HuoziError } from './errors.ts';
import type { RequestOptions } from './options.ts';
import { check, jsonSchemaOf, type OutputOf, type SchemaSource } from './standard-schema.ts';
import type { ChatStream } from './stream.ts';

/**
 * A function with a schema for its argument; made by {@link tool}.
 *
 * @example
 * const tools: Record<string, Tool> = { weather };
 */
export interface Tool<Source extends SchemaSource<unknown> = SchemaSource<unknown>> {
  /** When to use it; the model reads this. */
  description?: string | undefined;
  /** Of the one argument, an object. */
  parameters: Source;
  /** What it returns goes to the model, as JSON unless it is a string; what it throws does, too. */
  // A method, so that tools of different arguments fit into one record.
  run(args: OutputOf<Source>, context: { signal: AbortSignal | undefined; call: ChatToolCall }): unknown;
}

/**
 * A tool whose `run` gets its argument typed by the schema.
 *
 * @example
 * const weather = tool({
 *   description: 'Weather of a city, now',
 *   parameters: z.object({ city: z.string() }),
 *   run: async ({ city }) => (await fetch(`https://weather.example.com/${city}`)).json(),
 * });
 */
export function tool<Source extends SchemaSource<unknown>>(definition: Tool<Source>): Tool<Source> {
  return definition;
}

/**
 * What is told while the loop goes on.
 *
 * @example
 * const options: RunToolsOptions = { maxRounds: 3, onText: (text) => show(text) };
 * await runTools(huozi, body, { weather }, options);
 */
export interface RunToolsOptions extends RequestOptions {
  /** Answers asked for at most; the last may not call. @default 8 */
  maxRounds?: number | undefined;
  /** Each answer as it streams. Do not await its end here; the loop reads the stream. */
  onText?: ((text: string) => void) | undefined;
  /** After each call. `error` is what the model was told went wrong. */
  onCall?: ((call: { name: string; args: unknown; result?: unknown; error?: string }) => void) | undefined;
}

/**
 * What `runTools` comes to.
 *
 * @example
 * const { text, messages }: RunToolsResult = await runTools(huozi, body, { weather });
 */
export interface RunToolsResult {
  /** The last answer's text. */
  text: string;
  /** The conversation with all that was said and done; goes on as the next call's `messages`. */
  messages: ChatCompletionMessageParam[];
  /** Answers asked for. */
  rounds: number;
  /** Tokens, over all rounds. */
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

/**
 * Lets the model call your functions until it answers without. Arguments are checked by the tool's schema before it
 * runs; wrong ones, a name that is no tool's and whatever a tool throws go back to the model as that call's result.
 * Calls of one answer run side by side. Rejects with code `too_many_rounds` where the model does not come to an end.
 *
 * @example
 * import { runTools, tool } from 'huozi/tools';
 * const { text } = await runTools(huozi, { model: 'huozi', messages }, { weather });
 */
export async function runTools(
  huozi: Pick<Huozi, 'chat'>,
  body: Omit<ChatCompletionCreateParams, 'tools' | 'stream' | 'n'>,
  tools: Record<string, Tool>,
  options: RunToolsOptions = {},
): Promise<RunToolsResult> {
  const { maxRounds = 8, onText, onCall, ...request } = options;
  const messages = [...body.messages];
  const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  const offered = Object.entries(tools).map(([name, { description, parameters }]) => ({
    type: 'function' as const,
    function: { name, description, parameters: jsonSchemaOf(parameters) },
  }));

  for (let rounds = 1; rounds <= maxRounds; rounds++) {
    // A choice that forces a call forces the first one only: else there would be no end.
    const tool_choice = rounds === 1 ? body.tool_choice : 'auto';
    const stream = await huozi.chat.completions.create(
      { ...body, messages, tools: offered, tool_choice, stream: true },
      request,
    );
    const message = await read(stream, onText);
    for (const key of Object.keys(usage) as (keyof typeof usage)[]) usage[key] += stream.usage?.[key] ?? 0;
    messages.push(message);
    const calls = message.tool_calls ?? [];
    if (calls.length === 0) return { text: message.content ?? '', messages, rounds, usage };
    const results = calls.map((call) => answer(call, tools, request.signal ?? undefined, onCall));
    messages.push(...(await Promise.all(results)));
    if (request.signal?.aborted) throw new AbortError('Call aborted', { cause: request.signal.reason });
  }
  throw new HuoziError(`No answer without calls in ${maxRounds} rounds`, { code: 'too_many_rounds' });
}

async function read(stream: ChatStream, onText: RunToolsOptions['onText']) {
  if (onText) for await (const text of stream.textStream) onText(text);
  return stream.finalMessage();
}

async function answer(
  call: ChatToolCall,
  tools: Record<string, Tool>,
  signal: AbortSignal | undefined,
  onCall: RunToolsOptions['onCall'],
): Promise<ChatCompletionMessageParam> {
  const { name } = call.function;
  let args: unknown;
  const told = (content: string): ChatCompletionMessageParam => ({
    role: 'tool',
    tool_call_id: call.id,
    content,
  });
  try {
    // Not `tools[name]`: a model may well say `constructor`.
    const chosen = Object.hasOwn(tools, name) ? tools[name] : undefined;
    if (!chosen) throw new Error(`There is no tool ${name}; there are: ${Object.keys(tools).join(', ')}`);
    args = JSON.parse(call.function.arguments || '{}');
    const checked = await check(chosen.parameters, args);
    if ('problem' in checked) throw new Error(checked.problem);
    const result = await chosen.run(checked.value as never, { signal, call });
    onCall?.({ name, args, result });
    return told(typeof result === 'string' ? result : (JSON.stringify(result) ?? 'done'));
  } catch (cause) {
    const error = cause instanceof Error ? cause.message : String(cause);
    onCall?.({ name, args, error });
    return told(JSON.stringify({ error }));
  }
}
