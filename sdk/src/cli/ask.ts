/** `huozi ask "…"`: one answer, made for pipes. */
import { stdin, stdout } from 'node:process';
import { text } from 'node:stream/consumers';
import { AbortError } from '../errors.ts';
import { chosenModel, clientOf, modelHelp, modelOptions, parse, samplingOf } from './client.ts';
import { harmless, say, UsageError } from './terminal.ts';

export const help = `huozi ask "QUESTION"      cat notes.txt | huozi ask "总结"      huozi ask < question.txt

${modelHelp}    (--json: the whole answer with its usage, as the API gives it)`;

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, modelOptions);
  const piped = stdin.isTTY ? '' : (await text(stdin)).trim();
  const question = [positionals.join(' '), piped].filter(Boolean).join('\n\n');
  if (!question) throw new UsageError('What do you ask? huozi ask "…"');
  const huozi = clientOf(values);
  const { id: model } = await chosenModel(huozi, values.model);

  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const system = values.system ? [{ role: 'system' as const, content: values.system }] : [];
  try {
    const stream = await huozi.chat.completions.create(
      {
        model,
        messages: [...system, { role: 'user', content: question }],
        ...samplingOf(values),
        stream: true,
      },
      { signal: interrupt.signal },
    );
    if (values.json) {
      say(JSON.stringify(await stream.finalCompletion()));
      return 0;
    }
    let last = '';
    for await (const piece of stream.textStream) {
      stdout.write(stdout.isTTY ? harmless(piece) : piece);
      last = piece;
    }
    if (!last.endsWith('\n')) say();
    return 0;
  } catch (error) {
    if (AbortError.isInstance(error)) return 130;
    throw error;
  }
}
