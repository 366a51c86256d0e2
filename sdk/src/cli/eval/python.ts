/**
 * Python that a model wrote, run where it can do no harm: CPython compiled to WebAssembly (Pyodide) in a Node process of
 * its own, that may read Pyodide's folder and nothing else, start nothing, compile no JavaScript from strings, has no
 * `fetch` and an empty environment. It is killed when its time is over.
 */
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { UsageError } from '../terminal.ts';

/** What Pyodide takes to start before the program's own time begins, ms. */
const startMs = 120_000;

const child = `
import { constants } from 'node:fs';
// The one thing of process.binding that Pyodide asks for; all of it is closed to a process with permissions.
process.binding = () => ({ fs: constants });
const { loadPyodide } = await import(process.argv[1]);
let program = '';
for await (const chunk of process.stdin) program += chunk;
const python = await loadPyodide({ jsglobals: Object.create(null), stdout() {}, stderr() {} });
for (const name of ['fetch', 'WebSocket', 'XMLHttpRequest', 'EventSource']) delete globalThis[name];
process.stdout.write('ready\\n');
try {
  python.runPython(program);
  process.stdout.write('passed\\n');
} catch (error) {
  process.stdout.write('failed ' + String(error.message).trim().split('\\n').pop().slice(0, 300) + '\\n');
}
process.exit(0);
`;

function folderOfPyodide(): string {
  try {
    return dirname(realpathSync(fileURLToPath(import.meta.resolve('pyodide'))));
  } catch {
    throw new UsageError("HumanEval runs the model's Python in Pyodide: npm install pyodide");
  }
}

export interface PythonResult {
  passed: boolean;
  /** The error's last line, or that it took too long. */
  why?: string;
}

/** @param timeoutMs of the program itself, from when Python stands ready */
export function runPython(program: string, timeoutMs: number): Promise<PythonResult> {
  const folder = folderOfPyodide();
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  const python = spawn(
    process.execPath,
    [
      '--no-warnings',
      permission,
      `--allow-fs-read=${join(folder, '*')}`,
      '--disallow-code-generation-from-strings',
      '--input-type=module',
      '--eval',
      child,
      '--',
      pathToFileURL(join(folder, 'pyodide.mjs')).href,
    ],
    { env: {}, cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  return new Promise((resolve, reject) => {
    let told = '';
    let complaint = '';
    let isLate = false;
    const kill = () => {
      isLate = true;
      python.kill('SIGKILL');
    };
    let timer = setTimeout(kill, startMs);
    python.stdout.setEncoding('utf8').on('data', (text: string) => {
      const wasReady = told.startsWith('ready\n');
      told += text;
      if (wasReady || !told.startsWith('ready\n')) return;
      clearTimeout(timer);
      timer = setTimeout(kill, timeoutMs);
    });
    python.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (complaint.length < 2000) complaint += text;
    });
    python.once('error', reject);
    // A process that died before it had read all has said why on standard error.
    python.stdin.on('error', () => {});
    python.stdin.end(program);
    python.once('close', () => {
      clearTimeout(timer);
      const [ready, verdict = ''] = told.split('\n');
      if (ready !== 'ready') {
        return reject(
          new Error(`Python did not start: ${complaint.trim().split('\n').pop() || 'it took too long'}`),
        );
      }
      if (verdict === 'passed') return resolve({ passed: true });
      const why = isLate
        ? `took over ${timeoutMs / 1000} s`
        : verdict.replace(/^failed /, '') || 'the process died';
      resolve({ passed: false, why });
    });
  });
}
