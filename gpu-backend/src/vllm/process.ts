/**
 * `vllm serve` as a child of this node: started, waited for, started again when it ends, and ended with the node. It
 * listens on a Unix socket in a folder of this user's alone, so nobody else on the machine can ask it, and no port
 * has to be free.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { UpstreamHttp } from '../upstream/http.ts';
import type { VllmHost } from './adapter.ts';

export interface VllmProcessOptions {
  /** What comes before `serve`. @default ['vllm'] */
  command?: readonly string[];
  /** A Hugging Face folder, or whatever else vLLM loads. */
  model: string;
  /** Further flags of `vllm serve`. */
  args: readonly string[];
  log: Logger;
  /** Where its output is kept; appended to. @default `vllm.log` in a new folder in the system's temporary one */
  logFile?: string;
  /** Before the first start after a loss; doubles up to `maxRestartDelayMs`, milliseconds. */
  restartDelayMs?: number;
  maxRestartDelayMs?: number;
  /** After SIGTERM, before it is killed, milliseconds. */
  closeMs?: number;
}

/** vLLM ended before it took requests. */
class VllmStartError extends Error {
  override name = 'VllmStartError';
}

/**
 * Starts vLLM with a guard beside it in its process group. The guard waits at a pipe of this process's: when that closes,
 * even by SIGKILL, it ends the group. vLLM takes the shell's place, so signals, exit code and process id are its own.
 * Node has no `PR_SET_PDEATHSIG`, and a guard started after vLLM would leave a moment in which nobody watches.
 */
const guarded = '(read -r _ <&3; kill -KILL 0) & exec "$@" 3<&-';

/** Up for so long, and the next loss is a first one again. */
const steadyMs = 300_000;
const healthMs = 250;

export class VllmProcess implements VllmHost {
  readonly http: UpstreamHttp;
  readonly logFile: string;
  readonly #options: VllmProcessOptions;
  readonly #folder: string;
  readonly #socket: string;
  readonly #killWithUs = () => this.#killGroup();
  #child: ChildProcess | undefined;
  #up = false;
  #restarts = 0;
  #losses = 0;
  #upSince = 0;
  #wait = new AbortController();
  #supervision: Promise<void> = Promise.resolve();

  private constructor(options: VllmProcessOptions) {
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), 'huozi-vllm-'));
    this.#socket = join(this.#folder, 's');
    this.logFile = options.logFile ?? join(this.#folder, 'vllm.log');
    this.http = new UpstreamHttp({ url: 'http://localhost', socketPath: this.#socket });
    process.once('exit', this.#killWithUs);
  }

  /** Settles when it takes requests. @throws VllmStartError */
  static async start(options: VllmProcessOptions): Promise<VllmProcess> {
    const vllm = new VllmProcess(options);
    options.log.info({ log_file: vllm.logFile }, 'starting vLLM');
    try {
      await vllm.#start();
    } catch (error) {
      await vllm.close();
      throw error;
    }
    vllm.#supervision = vllm.#supervise();
    return vllm;
  }

  get up(): boolean {
    return this.#up;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async close(): Promise<void> {
    this.#up = false;
    this.#wait.abort();
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const late = setTimeout(() => this.#killGroup(), this.#options.closeMs ?? 20_000);
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      clearTimeout(late);
    }
    await this.#supervision;
    // Workers that outlived it.
    this.#killGroup();
    process.off('exit', this.#killWithUs);
    await this.http.close();
    rmSync(this.#socket, { force: true });
    if (this.#options.logFile !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { command = ['vllm'], model, args } = this.#options;
    rmSync(this.#socket, { force: true });
    const log = openSync(this.logFile, 'a', 0o600);
    // A group of its own: a terminal's Ctrl-C is the node's to act on, which drains first.
    const vllm = [...command, 'serve', model, ...args, '--uds', this.#socket];
    const child = spawn('/bin/sh', ['-c', guarded, 'sh', ...vllm], {
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
      env: { VLLM_NO_USAGE_STATS: '1', ...process.env },
    });
    closeSync(log);
    this.#child = child;
    let ended: string | undefined;
    child.once('error', (error) => {
      ended = error.message;
    });
    child.once('exit', (code, signal) => {
      ended ??= `${signal ?? `exit code ${code}`}: ${lastWords(this.logFile)}`;
    });
    while (!(await this.#isHealthy())) {
      if (this.#wait.signal.aborted) throw new VllmStartError('closed while vLLM was starting');
      if (ended !== undefined) throw new VllmStartError(`vLLM did not start (${ended}); see ${this.logFile}`);
      await delay(healthMs, undefined, { signal: this.#wait.signal }).catch(() => undefined);
    }
    this.#up = true;
    this.#upSince = performance.now();
  }

  async #isHealthy(): Promise<boolean> {
    return this.http.text('/health').then(
      () => true,
      () => false,
    );
  }

  /** Runs until `close`. */
  async #supervise(): Promise<void> {
    const { log, restartDelayMs = 1_000, maxRestartDelayMs = 60_000 } = this.#options;
    for (;;) {
      const child = this.#child!;
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
        await once(child, 'exit');
      }
      this.#up = false;
      this.#killGroup();
      if (this.#wait.signal.aborted) return;
      this.#losses = performance.now() - this.#upSince > steadyMs ? 1 : this.#losses + 1;
      const wait = Math.min(maxRestartDelayMs, restartDelayMs * 2 ** (this.#losses - 1));
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      log.error({ how, last_words: lastWords(this.logFile), again_in_ms: wait }, 'vLLM lost');
      await delay(wait, undefined, { signal: this.#wait.signal }).catch(() => undefined);
      if (this.#wait.signal.aborted) return;
      try {
        await this.#start();
        this.#restarts++;
        log.info({ restarts: this.#restarts }, 'vLLM started again');
      } catch (err) {
        log.error({ err }, 'vLLM did not start again');
      }
    }
  }

  #killGroup(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody is left in it.
    }
  }
}

/** The last line that names an error, or the last line. */
function lastWords(logFile: string): string {
  try {
    const lines = readFileSync(logFile, 'utf8').slice(-16_384).trim().split('\n');
    return (lines.findLast((line) => /\w*(Error|error)\b/.test(line)) ?? lines.at(-1) ?? '')
      .trim()
      .slice(0, 500);
  } catch {
    return '';
  }
}
