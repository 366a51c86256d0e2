import { expect, it } from 'vitest';
import { parseEngine } from './engine-flags.ts';

const adapters = [{ name: 'law', path: '/law' }];

it('adapters go to our own engine, or to a vLLM that this node starts', () => {
  expect(parseEngine({ engine: 'llama.cpp' }, [], undefined, adapters)).toBeUndefined();
  expect(parseEngine({ engine: 'vllm' }, [], undefined, adapters)).toBeTypeOf('function');
});

it('one that runs already has its own, and their scale', () => {
  const running = { engine: 'vllm', upstream: 'http://10.0.0.5:8000' };
  expect(() => parseEngine(running, [], undefined, adapters)).toThrow(/--lora is for a vLLM that this/);
  expect(() => parseEngine({ engine: 'vllm' }, [], undefined, [{ ...adapters[0]!, scale: 2 }])).toThrow(
    /--lora-scale belongs to --engine llama.cpp/,
  );
});
