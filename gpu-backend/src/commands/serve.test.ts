import { afterEach, expect, test, vi } from 'vitest';
import { UsageError } from './command.ts';
import { serve } from './serve.ts';

afterEach(() => vi.unstubAllEnvs());

test('options are refused by name, before anything starts', async () => {
  const cases: [args: string[], message: RegExp][] = [
    [['--port', '70000'], /--port .*70000/],
    [['--port', '-1'], /--port/],
    [['--slots', 'many'], /--slots .*many/],
    [['--slots', '0'], /--slots/],
    [['--gpu-layers', '1.5'], /--gpu-layers/],
    [['--cpu-experts', 'some'], /--cpu-experts .*some/],
    [['--main-gpu', '-1'], /--main-gpu/],
    [['--tensor-split', '1,,2'], /--tensor-split .*1,,2/],
    [['--tensor-split', '0,0'], /--tensor-split/],
    [['--split-mode', 'half'], /--split-mode .*half/],
    [['--kv-type', 'q5_0'], /--kv-type .*q5_0/],
    [['--kv-type', 'f16,f16,f16'], /--kv-type/],
    [['--flash-attention', 'yes'], /--flash-attention .*yes/],
    [['--threads-batch', '0'], /--threads-batch/],
    [['--expert-telemetry', 'all'], /--expert-telemetry .*all/],
    [['--mlock=maybe'], /--mlock/],
    [['--drain-timeout', ''], /--drain-timeout/],
    [['--log-level', 'loud'], /--log-level/],
    [['model.gguf'], /model\.gguf/],
    [['--token', 'secret'], /--token/],
  ];
  for (const [args, message] of cases) {
    vi.stubEnv('HUOZI_NODE_TOKEN', 'x');
    await expect(serve.run(args), args.join(' ')).rejects.toThrow(message);
  }
});

test('the token comes from the environment or a file, and must be one', async () => {
  vi.stubEnv('HUOZI_NODE_TOKEN', 'two words');
  await expect(serve.run([])).rejects.toThrow(UsageError);
  // Read once, it is gone from the environment.
  expect(process.env.HUOZI_NODE_TOKEN).toBeUndefined();
  await expect(serve.run([])).rejects.toThrow(/HUOZI_NODE_TOKEN/);
  await expect(serve.run(['--token-file', '/nonexistent/token'])).rejects.toThrow(/nonexistent/);
});
