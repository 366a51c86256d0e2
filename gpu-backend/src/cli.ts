import { type Command, UsageError } from './commands/command.ts';
import { version } from './version.ts';

/** Loaded when asked for: `plan` on a laptop needs no native library. */
const commands: Record<string, () => Promise<Command>> = {
  serve: async () => (await import('./commands/serve.ts')).serve,
  plan: async () => (await import('./commands/plan.ts')).plan,
  inspect: async () => (await import('./commands/inspect.ts')).inspect,
  convert: async () => (await import('./commands/convert.ts')).convert,
  'convert-lora': async () => (await import('./commands/convert-lora.ts')).convertLora,
  merge: async () => (await import('./commands/merge.ts')).merge,
  pull: async () => (await import('./commands/pull.ts')).pull,
  quantize: async () => (await import('./commands/quantize.ts')).quantize,
  ollama: async () => (await import('./commands/ollama.ts')).ollama,
};

async function help(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(14)}${(await load()).summary}`),
  );
  return `Usage: huozi-gpu-backend <command> [options]

Commands:
${lines.join('\n')}

  --help      this text, or with a command that command's
  --version   ${version}
`;
}

/** @returns the exit code */
async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--version') {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  if (name === '--help' || name === '-h') {
    process.stdout.write(await help());
    return 0;
  }
  if (name === undefined) throw new UsageError('no command given');
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!load) throw new UsageError(`unknown command "${name}"`);
  const command = await load();
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help);
    return 0;
  }
  return (await command.run(rest)) ?? 0;
}

/** node:util's parseArgs throws TypeErrors that carry such a code. */
function isUsageError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return error instanceof UsageError || code.startsWith('ERR_PARSE_ARGS_');
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = isUsageError(error);
  const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
  process.stderr.write(`huozi-gpu-backend: ${line}${usage ? ' (--help shows what there is)' : ''}\n`);
  process.exitCode = usage ? 2 : 1;
}
