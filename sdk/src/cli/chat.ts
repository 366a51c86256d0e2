/** `huozi chat`: a conversation in a terminal. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { env, stdin, stdout } from 'node:process';
import { Conversation } from '../conversation.ts';
import { AbortError, type HuoziError } from '../errors.ts';
import type { ChatStream } from '../stream.ts';
import { chosenModel, clientOf, modelHelp, modelOptions, parse, samplingOf } from './client.ts';
import { type Input, openReader } from './input.ts';
import { bold, dim, harmless, red, say, UsageError } from './terminal.ts';

export const help = `huozi chat [--load FILE]

${modelHelp}    (--json: each answer as a line of JSON)
  --load FILE             goes on with a conversation that /save wrote
  --no-history            what you type is not kept for the next time`;

const commands = `  /system [TEXT]   sets the system message; without text shows it
  /model [NAME]    another model; without a name lists them
  /retry           the last question again
  /undo            takes the last question and its answer back
  /history         what was said
  /save FILE       keeps the conversation (JSON)
  /load FILE       goes on with one that was kept
  /clear           forgets what was said
  /exit            leaves, as Ctrl-D does

  A line that ends in \\ goes on; """ on a line of its own begins and ends several lines; a paste is one message.
  Ctrl-C stops an answer; twice it leaves.`;

const historyFile = join(env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'huozi/history.json');

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, {
    ...modelOptions,
    load: { type: 'string' },
    'no-history': { type: 'boolean' },
  });
  if (positionals.length > 0)
    throw new UsageError('huozi chat takes nothing but options; huozi ask takes a question');
  const huozi = clientOf(values);
  let { id: model, contextTokens } = await chosenModel(huozi, values.model);
  const sampling = samplingOf(values);
  let chat = started({ system: values.system });
  if (values.load) chat = await load(values.load);

  const keepsHistory = stdin.isTTY && !values['no-history'];
  const reader = openReader(keepsHistory ? await readHistory() : []);
  const isPerson = stdin.isTTY && !values.json;
  if (isPerson) say(dim(`${model} · /help · Ctrl-C stops an answer, Ctrl-D leaves`));

  function started(kept: object): Conversation {
    return new Conversation(huozi, { ...kept, model, contextTokens, ...sampling });
  }

  async function load(path: string): Promise<Conversation> {
    const { system, history } = Object(JSON.parse(await readFile(path, 'utf8')));
    if (!Array.isArray(history)) throw new UsageError(`${path} is no conversation`);
    return started({ system, history });
  }

  /** Streams an answer; false where a second Ctrl-C said to leave. */
  async function answer(ask: (signal: AbortSignal) => Promise<ChatStream>): Promise<boolean> {
    const stop = new AbortController();
    let interrupts = 0;
    const onInterrupt = () => {
      // It may be stopping still: then the second one does not wait for it.
      if (++interrupts === 2) process.exit(130);
      stop.abort();
    };
    process.on('SIGINT', onInterrupt);
    const from = performance.now();
    let firstAt: number | undefined;
    try {
      const stream = await ask(stop.signal);
      for await (const text of stream.textStream) {
        firstAt ??= performance.now();
        if (!values.json) stdout.write(stdout.isTTY ? harmless(text) : text);
      }
      // The conversation has heard of the end then, too.
      await stream.ended;
      if (values.json) say(JSON.stringify(await stream.finalCompletion()));
      else {
        say();
        if (isPerson) say(dim(figures(stream, from, firstAt, chat.leftOut)));
      }
      return true;
    } catch (error) {
      if (firstAt && !values.json) say();
      if (AbortError.isInstance(error)) {
        say(dim('stopped; Ctrl-C again leaves, /retry asks again'));
        return interrupts < 2;
      }
      throw error;
    } finally {
      process.off('SIGINT', onInterrupt);
    }
  }

  async function command(line: string): Promise<boolean> {
    const [, name = '', rest = ''] = /^\/(\w*)\s*(.*)$/s.exec(line) ?? [];
    switch (name) {
      case 'help':
        say(commands);
        break;
      case 'exit':
      case 'quit':
        return false;
      case 'system':
        if (rest) chat.system = rest;
        say(dim(`system: ${harmless(chat.system ?? '(none)')}`));
        break;
      case 'model': {
        if (!rest) {
          for (const { id } of (await huozi.models.list()).data) say(id === model ? bold(`${id} *`) : id);
          break;
        }
        ({ id: model, contextTokens } = await chosenModel(huozi, rest));
        chat = started({ system: chat.system, history: chat.messages });
        say(dim(`model: ${model}`));
        break;
      }
      case 'retry':
        return answer((signal) =>
          unanswered === undefined ? chat.regenerate({ signal }) : chat.send(unanswered, { signal }),
        );
      case 'undo':
        say(dim(`taken back: ${harmless(chat.undo() ?? '(nothing)')}`));
        break;
      case 'history':
        for (const { role, content } of chat.messages) say(`${bold(role)}  ${harmless(String(content))}`);
        break;
      case 'save':
        if (!rest) throw new UsageError('/save FILE');
        await writeFile(pathOf(rest), `${JSON.stringify(chat, null, 2)}\n`, { mode: 0o600 });
        say(dim(`kept in ${rest}`));
        break;
      case 'load':
        if (!rest) throw new UsageError('/load FILE');
        chat = await load(pathOf(rest));
        say(dim(`${chat.messages.length} messages`));
        break;
      case 'clear':
        chat = started({ system: chat.system });
        break;
      default:
        throw new UsageError(`/${name} is no command; /help lists them`);
    }
    return true;
  }

  /** The question whose answer was stopped or failed: /retry means it. */
  let unanswered: string | undefined;
  let failures = 0;
  let goesOn = true;
  let wasInterrupted = false;
  while (goesOn) {
    const input: Input = await reader.read(isPerson ? bold('> ') : '');
    if (input === 'end') break;
    if (input === 'interrupt') {
      if (wasInterrupted) break;
      wasInterrupted = true;
      say(dim('Ctrl-C again leaves'));
      continue;
    }
    wasInterrupted = false;
    const { text } = input;
    if (!text.trim()) continue;
    const before = chat.messages.length;
    try {
      if (text.startsWith('/')) goesOn = await command(text);
      else {
        unanswered = text;
        goesOn = await answer((signal) => chat.send(text, { signal }));
      }
      if (chat.messages.length !== before) unanswered = undefined;
      wasInterrupted = unanswered !== undefined && !text.startsWith('/');
    } catch (error) {
      failures++;
      const { message, requestId } = error as HuoziError;
      process.stderr.write(`${red(message, process.stderr)}${requestId ? ` (request ${requestId})` : ''}\n`);
    }
  }
  reader.close();
  if (keepsHistory) await writeHistory(reader.history);
  // From a pipe nobody sees the messages go by.
  return isPerson || failures === 0 ? 0 : 1;
}

function figures(stream: ChatStream, from: number, firstAt: number | undefined, leftOut: number): string {
  const tokens = stream.usage?.completion_tokens;
  const seconds = (performance.now() - (firstAt ?? from)) / 1000;
  const finish = stream.snapshot?.choices[0]?.finish_reason;
  return [
    tokens !== undefined && `${tokens} tokens`,
    tokens !== undefined && tokens > 1 && `${((tokens - 1) / seconds).toFixed(1)} tok/s`,
    firstAt !== undefined && `first after ${((firstAt - from) / 1000).toFixed(2)} s`,
    finish !== 'stop' && `ended by ${finish}`,
    leftOut > 0 && `${leftOut} oldest messages did not fit`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** A shell would have read `~` by now; here nobody else does. */
const pathOf = (typed: string) => typed.trim().replace(/^~(?=\/)/, homedir());

async function readHistory(): Promise<string[]> {
  try {
    const kept = JSON.parse(await readFile(historyFile, 'utf8'));
    return Array.isArray(kept) ? kept.map(String) : [];
  } catch {
    return [];
  }
}

/** Only for its owner's eyes. Where it cannot be kept, nothing is lost that anybody asked for. */
async function writeHistory(history: readonly string[]): Promise<void> {
  try {
    await mkdir(dirname(historyFile), { recursive: true, mode: 0o700 });
    await writeFile(historyFile, JSON.stringify(history), { mode: 0o600 });
  } catch {}
}
