/** One run of the engine's process, from fork to exit. */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { ModelFileError } from '../engine/model-errors.ts';
import type { EngineInfo, EngineOptions, EngineStats } from '../engine/types.ts';
import type { FromEngine, ToEngine } from './messages.ts';
import { fromWire } from './wire-error.ts';

/** What is kept of stderr: native code says there why it gives up. */
const lastWordsBytes = 2048;

export class EngineChild {
  /** Settles when the process has ended, or could not be started: `SIGABRT`, `exit code 1`. */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;
  #stderr = '';
  /** Set before a kill of ours: the signal alone would not say why. */
  #reason: string | undefined;

  constructor() {
    this.#process = fork(...entry());
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-lastWordsBytes);
    });
    const killWithUs = () => this.kill('the server ended');
    process.once('exit', killWithUs);
    this.ended = new Promise<string>((resolve) => {
      this.#process.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
      this.#process.on('error', ({ message }) => {
        // Else it is a message that no longer reaches it: its end is told by `close`.
        if (this.#process.pid === undefined) resolve(message);
      });
    }).then((how) => {
      process.off('exit', killWithUs);
      return this.#reason ?? how;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The last line on stderr that says something, such as a failed assertion. */
  get lastWords(): string {
    const lines = this.#stderr.split('\n').map((line) => line.trim());
    return lines.find((line) => line.includes('GGML_ASSERT')) ?? lines.findLast((line) => line !== '') ?? '';
  }

  send(message: ToEngine): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  kill(reason: string): void {
    this.#reason ??= reason;
    this.#process.kill('SIGKILL');
  }

  /**
   * Loads the model; `receive` gets what comes after that.
   * @throws what `loadEngine` does, and ModelFileError when loading ended the process
   */
  load(
    options: EngineOptions,
    receive: (message: FromEngine) => void,
  ): Promise<{ info: EngineInfo; stats: EngineStats }> {
    return new Promise((resolve, reject) => {
      this.#process.on('message', (message: FromEngine) => {
        if (message.type === 'loaded') resolve(message);
        else if (message.type === 'failed') reject(fromWire(message.error));
        else receive(message);
      });
      void this.ended.then((how) => {
        const reason = `loading it ended the engine's process (${how})${this.lastWords && `: ${this.lastWords}`}`;
        reject(new ModelFileError('not_loadable', options.modelPath, reason));
      });
      this.send({ type: 'load', options });
    });
  }
}

/** This package as it runs: compiled, or from its sources, which plain Node does not read. */
function entry(): Parameters<typeof fork> {
  const options: ForkOptions = {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Its backtrace would start a debugger.
    env: { ...process.env, GGML_NO_BACKTRACE: '1' },
  };
  if (!import.meta.url.endsWith('.ts')) return [new URL('./main.js', import.meta.url), [], options];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const execArgv = ['--conditions=huozi-source', '--import', tsx];
  return [new URL('./main.ts', import.meta.url), [], { ...options, execArgv }];
}
