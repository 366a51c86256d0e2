import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type NodeOptions, nodeDefaults, startNode } from '../index.ts';
import { createLog } from '../server/log.ts';
import { type Command, UsageError, wholeNumber } from './command.ts';
import { engineFlags, engineHelp, parseEngine } from './engine-flags.ts';
import { parseAdapters } from './lora-flags.ts';
import { parsePlacement, placementFlags, placementHelp } from './placement-flags.ts';

const defaultPort = 8790;
const defaultDrainSeconds = 30;
const defaultStepSeconds = 120;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const help = `Usage: huozi-gpu-backend serve [options] [-- FLAGS]

Serves a GGUF model to the edge over HTTP. Prints "ready URL" on stdout once it
takes requests, and JSON log lines on stderr. SIGTERM and SIGINT drain; a second
signal ends at once.

The bearer token that the edge sends is read from the environment variable
HUOZI_NODE_TOKEN or from a file; never from the command line, which others can see.

  --model FILE           GGUF file (default: the bundled huozi-tiny)
  --token-file FILE      file that holds the token
  --edge URL             edge that shall know of this node: it announces itself there
  --public-url URL       where that edge reaches it (default: where it listens)
  --host ADDRESS         address to listen on (default ${nodeDefaults.host})
  --port N               port; 0 takes any free one (default ${defaultPort})
  --name NAME            served model name (default ${nodeDefaults.name})
  --lora NAME=PATH       LoRA adapter: a GGUF file, or the folder that PEFT saved, where a copy
                         for llama.cpp is made; served as MODEL:NAME; may be given several times
  --lora-scale NAME=N    of what that adapter adds (default 1)
  --context N            KV cells shared by all sequences, tokens (default ${nodeDefaults.contextTokens})
  --slots N              sequences that decode at the same time (default ${nodeDefaults.slots})
  --batch N              tokens of one decode step (default ${nodeDefaults.batchTokens})
  --threads N            CPU threads (default: one fewer than the process may use)
  --threads-batch N      CPU threads of a step of more than one token (default: --threads)
${placementHelp}  --max-queue N          requests that may wait; 429 past that (default 256)
  --max-queue-tokens N   prompt tokens that may wait (default 8 x context)
  --no-prefix-cache      share no KV cells between requests with equal beginnings
  --cache-dir DIR        keep cached prefixes there across a restart: written at the end,
                         read at the start; holds users' prompts as tokens, for the owner only
  --cache-mib N          what DIR may hold, MiB (default 1024)
  --expert-telemetry M   sampled: look into some steps (about 1.5 % of the time), to count
                         which experts tokens are routed to; off (default sampled)
  --engine-process MODE  on: the engine runs in a child process, which is started
                         again when native code ends it; off: in this one (default on)
  --step-timeout N       seconds that a decode step may take before the engine counts
                         as hung and is started again; 0: any (default ${defaultStepSeconds})
  --drain-timeout N      seconds that running answers get after a signal (default ${defaultDrainSeconds})
${engineHelp}  --log-level LEVEL      ${logLevels.join(', ')} (default info)
  -h, --help             this text
`;

export const serve: Command = {
  summary: 'serve a model over HTTP',
  help,
  async run(args) {
    const { options, drainMs } = parse(args);
    const node = await startNode(options);
    process.stdout.write(`ready ${node.url}\n`);
    await firstSignal();
    await node.drain(drainMs);
    // A native call that hangs would keep the process; an end in good order comes before this timer.
    setTimeout(() => process.exit(0), 1000).unref();
  },
};

function parse(args: string[]): { options: NodeOptions; drainMs: number } {
  const { values, positionals, tokens } = parseArgs({
    args,
    allowPositionals: true,
    tokens: true,
    options: {
      model: { type: 'string' },
      ...engineFlags,
      'token-file': { type: 'string' },
      edge: { type: 'string' },
      'public-url': { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string', default: String(defaultPort) },
      name: { type: 'string' },
      lora: { type: 'string', multiple: true },
      'lora-scale': { type: 'string', multiple: true },
      context: { type: 'string' },
      slots: { type: 'string' },
      batch: { type: 'string' },
      threads: { type: 'string' },
      'threads-batch': { type: 'string' },
      ...placementFlags,
      'max-queue': { type: 'string' },
      'max-queue-tokens': { type: 'string' },
      'no-prefix-cache': { type: 'boolean' },
      'cache-dir': { type: 'string' },
      'cache-mib': { type: 'string' },
      'expert-telemetry': { type: 'string' },
      'engine-process': { type: 'string', default: 'on' },
      'step-timeout': { type: 'string', default: String(defaultStepSeconds) },
      'drain-timeout': { type: 'string', default: String(defaultDrainSeconds) },
      'log-level': { type: 'string', default: 'info' },
    },
  });
  const end = tokens.findIndex(({ kind }) => kind === 'option-terminator');
  const extra = end < 0 ? [] : args.slice(tokens[end]!.index + 1);
  if (positionals.length > extra.length) throw new UsageError(`serve takes no "${positionals[0]}"`);
  const mode = values['engine-process'];
  if (mode !== 'on' && mode !== 'off') throw new UsageError('--engine-process takes on or off');
  const level = values['log-level'];
  if (!logLevels.includes(level)) throw new UsageError(`--log-level takes ${logLevels.join(', ')}`);
  type Numeric =
    | 'context'
    | 'slots'
    | 'batch'
    | 'threads'
    | 'threads-batch'
    | 'max-queue'
    | 'max-queue-tokens'
    | 'cache-mib';
  const number = (option: Numeric, min: number) => {
    const text = values[option];
    return text === undefined ? undefined : wholeNumber(option, text, min);
  };
  const cacheMib = number('cache-mib', 0);
  const adapters = parseAdapters(values.lora, values['lora-scale']);
  const given = {
    modelPath: values.model,
    edge: baseUrl('edge', values.edge),
    publicUrl: baseUrl('public-url', values['public-url']),
    host: values.host,
    name: values.name,
    adapters,
    contextTokens: number('context', 1),
    slots: number('slots', 1),
    batchTokens: number('batch', 1),
    threads: number('threads', 1),
    threadsBatch: number('threads-batch', 1),
    ...parsePlacement(values),
    expertTelemetry: telemetry(values['expert-telemetry']),
    maxQueue: number('max-queue', 0),
    maxQueueTokens: number('max-queue-tokens', 0),
    cacheDir: values['cache-dir'],
    cacheBytes: cacheMib === undefined ? undefined : cacheMib * 2 ** 20,
    prefixCache: values['no-prefix-cache'] ? false : undefined,
    engine: parseEngine(values, extra, number('context', 1), adapters),
  };
  return {
    options: {
      ...(Object.fromEntries(
        Object.entries(given).filter(([, value]) => value !== undefined),
      ) as Partial<NodeOptions>),
      engineProcess: mode === 'on',
      stepTimeoutMs: 1000 * wholeNumber('step-timeout', values['step-timeout'], 0, 86_400),
      port: wholeNumber('port', values.port, 0, 65_535),
      token: readToken(values['token-file']),
      log: createLog(level),
    },
    drainMs: 1000 * wholeNumber('drain-timeout', values['drain-timeout'], 0, 86_400),
  };
}

function telemetry(text: string | undefined): 'off' | 'sampled' | undefined {
  if (text === undefined || text === 'off' || text === 'sampled') return text;
  throw new UsageError(`--expert-telemetry takes sampled or off, not "${text}"`);
}

/** @returns without a slash at the end */
function baseUrl(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (!/^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(text)) {
    throw new UsageError(`--${option} takes a URL such as https://example.org, without query or password`);
  }
  return text.replace(/\/+$/, '');
}

function readToken(file: string | undefined): string {
  const token = (file === undefined ? process.env.HUOZI_NODE_TOKEN : readTokenFile(file))?.trim();
  // What this process starts has no business with it.
  delete process.env.HUOZI_NODE_TOKEN;
  if (!token) throw new UsageError('no token: set HUOZI_NODE_TOKEN or give --token-file');
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new UsageError('the token may hold printable ASCII characters only, and no spaces');
  }
  return token;
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read the token file: ${(error as Error).message}`);
  }
}

/** Settles at the first SIGTERM or SIGINT; a second one of either ends the process at once. */
function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signalled = false;
    for (const [signal, code] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const) {
      process.on(signal, () => {
        if (signalled) process.exit(code);
        signalled = true;
        resolve();
      });
    }
  });
}
