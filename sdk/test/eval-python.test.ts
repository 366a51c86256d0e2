/** HumanEval's sandbox: real Python, in a real process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { humaneval } from '../src/cli/eval/humaneval.ts';
import { runPython } from '../src/cli/eval/python.ts';

const problem = {
  task_id: 'T/0',
  prompt: 'import math\n\n\ndef two(x: int) -> int:\n    """Two more."""\n',
  entry_point: 'two',
  test: 'def check(candidate):\n    assert candidate(1) == 3\n    assert candidate(-2) == 0\n',
};
const item = { id: 'T/0', group: 'all', messages: [], key: problem };

test('a right answer passes; a wrong one, one that leaves early and one that never ends do not', async () => {
  const score = (answer: string) => humaneval.score!(item, [answer]);
  const [right, wrong, left, late] = await Promise.all([
    score('```python\ndef two(x):\n    return x + math.floor(2.5)\n```'),
    score('    return x * 3'),
    score('```python\nimport os\nprint("passed")\nos._exit(0)\n```'),
    runPython('while True: pass', 500),
  ]);
  expect(right).toEqual({ points: 1, of: 1, read: 'passed' });
  expect(wrong).toMatchObject({ points: 0, read: 'AssertionError' });
  expect(left).toMatchObject({ points: 0 });
  expect(late).toEqual({ passed: false, why: 'took over 0.5 s' });
}, 180_000);

test('neither files, processes, JavaScript nor the network are in reach', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'huozi-sandbox-'));
  await writeFile(join(folder, 'secret'), 'secret');
  // Each attempt must fail by itself; the program passes only when all of them did.
  const attempts = `
import os, subprocess, sys
def denied(what):
    try:
        what()
    except BaseException:
        return
    raise SystemExit('reached: ' + what.__doc__)
def read():
    'file'
    open(${JSON.stringify(join(folder, 'secret'))}).read()
def mount():
    'mounted file'
    import pyodide_js
    pyodide_js.FS.mount(pyodide_js.FS.filesystems.NODEFS, {'root': ${JSON.stringify(folder)}}, '/mnt')
    open('/mnt/secret').read()
def start():
    'process'
    subprocess.run(['id'])
def javascript():
    'JavaScript'
    from pyodide.code import run_js
    run_js('1')
def constructor():
    'JavaScript by a constructor'
    import pyodide_js
    pyodide_js.FS.open.constructor('return 1')()
for what in [read, mount, start, javascript, constructor]:
    denied(what)
assert 'HOME' not in os.environ or os.environ['HOME'] == '/home/pyodide'
assert not [name for name in os.environ if 'KEY' in name or 'TOKEN' in name]
`;
  try {
    const [tried, system] = await Promise.all([
      runPython(attempts, 60_000),
      // This one takes Python down with it, which is as good.
      runPython('import os\nos.system("id")', 60_000),
    ]);
    expect(tried).toEqual({ passed: true });
    expect(system.passed).toBe(false);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 180_000);
