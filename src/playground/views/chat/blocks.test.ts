import fc from 'fast-check';
import type { Token } from 'marked';
import { describe, expect, it } from 'vitest';
import { GrowingMarkdown, parseMarkdown, safeAddress, withoutEntities } from './blocks.ts';

/** Text that looks like what models write, with the beginnings of blocks at its seams. */
const pieces = fc.array(
  fc.constantFrom(
    ...[
      '# 题\n',
      '\n',
      '\n\n',
      '你好',
      'word ',
      '**b**',
      '`c`',
      '```js\n',
      '```\n',
      '- a\n',
      '  - b\n',
      '1. x\n',
    ],
    ...[
      '> q\n',
      '| a | b |\n|---|---|\n',
      '| 1 | 2 |\n',
      '---\n',
      '===\n',
      '    indented\n',
      '<div>\n',
      '<script>',
    ],
    ...[
      '</div>\n',
      '[l](http://a.b)',
      '![i](x)',
      '&lt;',
      '\t',
      '\r\n',
      '* * *\n',
      '~~~\n',
      '- [ ] t\n',
      '\\',
      '😀',
    ],
  ),
  { maxLength: 30 },
);
const shown = (tokens: Token[]) => JSON.stringify(tokens.filter(({ type }) => type !== 'space'));

describe('growing Markdown', () => {
  it('gives at each step the tree that the whole text gives', () => {
    fc.assert(
      fc.property(pieces, (parts) => {
        const growing = new GrowingMarkdown();
        let text = '';
        for (const part of parts) {
          text += part;
          expect(shown(growing.read(text))).toBe(shown(parseMarkdown(text.replaceAll('\r', ''))));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('keeps the blocks that are settled, so that nothing draws them anew', () => {
    const growing = new GrowingMarkdown();
    const [first] = growing.read('一\n\n二');
    const again = growing.read('一\n\n二二\n\n三');
    expect(again[0]).toBe(first);
    expect(again.filter(({ type }) => type === 'paragraph')).toHaveLength(3);
  });

  it('begins anew with another text', () => {
    const growing = new GrowingMarkdown();
    growing.read('# a\n\nb');
    expect(shown(growing.read('x'))).toBe(shown(parseMarkdown('x')));
  });

  it('reads only what is still growing', () => {
    const growing = new GrowingMarkdown();
    let text = '';
    let read = 0;
    const settled = new Set<Token>();
    for (let line = 0; line < 300; line++) {
      text += `第${line}段。\n\n`;
      const tokens = growing.read(text);
      read += tokens.filter((token) => !settled.has(token)).length;
      for (const token of tokens) settled.add(token);
    }
    // Each paragraph twice or thrice, not 300 times.
    expect(read).toBeLessThan(300 * 6);
  });
});

it('takes any depth of nesting', () => {
  expect(parseMarkdown('>'.repeat(20_000)).length).toBeGreaterThan(0);
  expect(parseMarkdown('['.repeat(5_000)).length).toBeGreaterThan(0);
});

it.each([
  ['https://a.example/b?c#d', true],
  ['HTTP://a.example', true],
  ['mailto:a@b.example', true],
  ['javascript:alert(1)', false],
  ['JaVaScRiPt:alert(1)', false],
  [' javascript:alert(1)', false],
  ['\u0001javascript:alert(1)', false],
  ['data:text/html,<script>', false],
  ['vbscript:x', false],
  ['file:///etc/passwd', false],
  ['blob:https://a.example/1', false],
  ['//evil.example', false],
  ['/admin', false],
  ['https://', false],
  ['', false],
])('address %j: %s', (address, isSafe) => expect(safeAddress(address) !== undefined).toBe(isSafe));

it.each([
  ['a &lt;b&gt; &amp;amp; &quot;', 'a <b> &amp; "'],
  ['&#20320;&#x597d;', '你好'],
  ['&#0; &#xd800; &#9999999;', '\ufffd \ufffd \ufffd'],
  ['&unknown; & &;', '&unknown; & &;'],
  ['&toString; &__proto__;', '&toString; &__proto__;'],
])('entities of %j', (text, plain) => expect(withoutEntities(text)).toBe(plain));
