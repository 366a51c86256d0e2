/** `huozi`: the terminal. Which command, and what its failure looks like. */
import { HuoziError } from '../errors.ts';
import { say, UsageError } from './terminal.ts';

const usage = `huozi: chat with a Huozi Edge from a terminal

  huozi chat                        a conversation (/help inside)
  huozi ask "…"                     one answer; what is piped in is added to the question
  huozi batch IN.jsonl OUT.jsonl    OpenAI batch lines, several at once; run again, it goes on
  huozi eval SUITE --data PATH      benchmarks, with the protocol of the published figures
  huozi keys create|list|show|update|rotate|revoke
  huozi nodes                       the nodes behind the edge
  huozi usage                       tokens by key, model and hour

  --base-url URL     HUOZI_BASE_URL, else http://127.0.0.1:8787/v1
  --model NAME       HUOZI_MODEL, else the first that the server lists
  --json             for programs: JSON on standard output
  --help, --version

The key is HUOZI_API_KEY or in the file that HUOZI_API_KEY_FILE names; keys, nodes and usage of all take
HUOZI_ADMIN_TOKEN. They are no options: every process of a machine can read those. NO_COLOR is honoured.
\`huozi COMMAND --help\` tells more.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.`;

const commands: Record<string, () => Promise<{ run(args: string[]): Promise<number>; help: string }>> = {
  chat: () => import('./chat.ts'),
  ask: () => import('./ask.ts'),
  batch: () => import('./batch.ts'),
  eval: () => import('./eval.ts'),
  keys: () => import('./keys.ts'),
  nodes: () => import('./nodes.ts'),
  usage: () => import('./usage.ts'),
};

async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--version') {
    const { readFile } = await import('node:fs/promises');
    say(JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')).version);
    return 0;
  }
  if (name === undefined || name === '--help' || name === 'help') {
    say(usage);
    return name ? 0 : 2;
  }
  if (!Object.hasOwn(commands, name)) throw new UsageError(`There is no command ${name}; see huozi --help`);
  const command = await commands[name]!();
  if (args.includes('--help')) {
    say(command.help);
    return 0;
  }
  return command.run(args);
}

function failed(error: unknown, isJson: boolean): number {
  const isUsage =
    error instanceof UsageError || String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
  const { message, type, code, param, requestId, status } = error as HuoziError;
  if (isJson) {
    const told = {
      message,
      type: type ?? 'error',
      code: code ?? null,
      param: param ?? null,
      requestId,
      status,
    };
    process.stderr.write(`${JSON.stringify({ error: told })}\n`);
  } else {
    const details = HuoziError.isInstance(error)
      ? [status, code, requestId && `request ${requestId}`].filter(Boolean).join(', ')
      : '';
    process.stderr.write(`huozi: ${message}${details && ` (${details})`}\n`);
    if (code === 'no_key') process.stderr.write('`npm start` of the edge prints a key.\n');
  }
  return isUsage ? 2 : 1;
}

// A reader such as `head` that has seen enough is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const args = process.argv.slice(2);
try {
  process.exitCode = await main(args);
} catch (error) {
  process.exitCode = failed(error, args.includes('--json'));
}
