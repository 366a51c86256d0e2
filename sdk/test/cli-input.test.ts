import { expect, test } from 'vitest';
import { isOpen, textOf } from '../src/cli/input.ts';
import { harmless, table, widthOf } from '../src/cli/terminal.ts';

test.each<[string[], boolean, string]>([
  [['你好'], false, '你好'],
  [['一\\'], true, '一'],
  [['一\\', '二'], false, '一\n二'],
  [['"""'], true, ''],
  [['"""', 'a\\', ''], true, 'a\\\n'],
  [['"""', 'a', '', 'b', '"""'], false, 'a\n\nb'],
  [['a', 'b'], false, 'a\nb'],
])('%j', (lines, open, text) => {
  expect(isOpen(lines)).toBe(open);
  expect(textOf(lines)).toBe(text);
});

test.each<[string, number]>([
  ['abc', 3],
  ['静夜思', 6],
  ['，。「」', 8],
  ['ｆｕｌｌ', 8],
  ['é', 1],
  ['e\u0301', 1],
  ['👩‍👩‍👧', 2],
  ['한글', 4],
  ['かな', 4],
  ['𠀀', 2],
  ['–', 1],
  ['', 0],
])('%s is %i wide', (text, width) => expect(widthOf(text)).toBe(width));

test('columns stand under each other whatever is in them', () => {
  const lines = table(
    ['name', 'n'],
    [
      ['活字', 5],
      ['ab', 12],
      ['x', null],
    ],
  ).split('\n');
  expect(lines).toEqual(['name   n', '活字   5', 'ab    12', 'x      –']);
});

test('no control character of a model reaches a terminal', () => {
  expect(harmless('a\x1b]52;c;aGk=\x07b\x1b[2Jc\r\x08d\u202ee\n\tf')).toBe('a]52;c;aGk=b[2Jcde\n\tf');
});
