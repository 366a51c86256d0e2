import koffi from 'koffi';
import { afterEach, expect, test, vi } from 'vitest';
import { TapCallback } from './expert-tap.ts';
import { loadLibrary } from './library.ts';

afterEach(() => vi.restoreAllMocks());

test('the callback goes to the scheduler that the context has then, since putting on an adapter frees the one before', () => {
  const lib = loadLibrary() as unknown as Record<string, (...args: unknown[]) => unknown>;
  const tapCallback = new TapCallback(() => undefined);
  // As llama_cparams has them, side by side among other fields.
  const fields = new BigUint64Array(new ArrayBuffer(512));
  const { cb_eval, cb_eval_user_data } = tapCallback.params;
  fields.set([cb_eval as bigint, cb_eval_user_data], 20);
  let scheduler = 1n;
  const told: unknown[] = [];
  vi.spyOn(lib, 'llama_context_get_cparams').mockImplementation(() => koffi.address(fields));
  vi.spyOn(lib, 'llama_context_get_sched').mockImplementation(() => scheduler);
  vi.spyOn(lib, 'ggml_backend_sched_set_eval_callback').mockImplementation((at: unknown) => told.push(at));
  const tap = tapCallback.attach(0n)!;
  tap.open();
  scheduler = 2n;
  tap.close();
  tap.open();
  expect(told).toEqual([1n, 1n, 2n, 2n]);
  expect(fields[20]).toBe(cb_eval);
  tapCallback.free();
});
