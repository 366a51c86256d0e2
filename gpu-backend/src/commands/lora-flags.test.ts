import { expect, it } from 'vitest';
import { parseAdapters } from './lora-flags.ts';

it('names, files and scales', () => {
  expect(parseAdapters(undefined)).toBeUndefined();
  expect(parseAdapters(['law=/a=b.gguf', 'med=m.gguf'], ['med=0.5'])).toEqual([
    { name: 'law', path: '/a=b.gguf' },
    { name: 'med', path: 'm.gguf', scale: 0.5 },
  ]);
});

it.each<[string[], string[], RegExp]>([
  [['law'], [], /--lora takes NAME=PATH, not "law"/],
  [['=x'], [], /--lora takes NAME=PATH/],
  [['a:b=x'], [], /not "a:b"/],
  [['a=x', 'a=y'], [], /two adapters a/],
  [['a=x'], ['b=1'], /no --lora b=PATH/],
  [['a=x'], ['a=zero'], /a number other than 0, not "zero"/],
  [['a=x'], ['a=0'], /other than 0/],
])('%j %j', (files, scales, message) => {
  expect(() => parseAdapters(files, scales)).toThrow(message);
});
