import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Numbering, skipEvents } from './numbering.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('numbering', () => {
  it('keeps the names of events', () => {
    const events = ': ids 5\nevent: a\ndata: {"a":1}\n\nevent: b\ndata: {"b":1}\n\n';
    const numbering = new Numbering();
    expect(decode(numbering.number(encode(events)))).toBe(
      'id: 1\nevent: a\ndata: {"a":1}\n\nid: 2\nevent: b\ndata: {"b":1}\n\n',
    );
    expect(numbering.take()).toEqual([5]);
  });

  it('puts its own number in the place of what the edge alone needs, and keeps the ids', () => {
    const numbering = new Numbering();
    const events = 'id: 2\n: ids 5,77\ndata: {"a":"床"}\n\nid: 3\n: ids 8\n: experts AAA=\ndata: {"b":1}\n\n';
    expect(decode(numbering.number(encode(events)))).toBe(
      'id: 1\ndata: {"a":"床"}\n\nid: 2\ndata: {"b":1}\n\n',
    );
    expect(numbering.take()).toEqual([5, 77, 8]);
    const end = ': usage {"prompt_tokens":1}\ndata: [DONE]\n\n';
    expect(decode(numbering.number(encode(end)))).toBe('id: 3\ndata: [DONE]\n\n');
    expect([numbering.take(), numbering.idCount, numbering.last]).toEqual([[], 3, 3]);
  });

  it('keeps a comment inside the next event', () => {
    const numbering = new Numbering(7, 4);
    expect(numbering.number(encode(': migrated\n\n')).length).toBe(0);
    expect(decode(numbering.number(encode('data: x\n\ndata: y\n\n')))).toBe(
      ': migrated\nid: 8\ndata: x\n\nid: 9\ndata: y\n\n',
    );
  });

  it('is the same however the events were cut into writes', () => {
    const event = fc.record({
      ids: fc.array(fc.nat(70_000), { maxLength: 4 }),
      data: fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify({ text })),
      migrated: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(event, { minLength: 1 }), fc.nat(), (events, seed) => {
        const written = events.map(
          ({ ids, data, migrated }, at) =>
            `${migrated ? ': migrated\n\n' : ''}id: ${at}\n${ids.length > 0 ? `: ids ${ids}\n` : ''}data: ${data}\n\n`,
        );
        const whole = new Numbering();
        const once = decode(whole.number(encode(written.join(''))));
        const parts = new Numbering();
        const cut = seed % written.length;
        const twice = [written.slice(0, cut), written.slice(cut)]
          .map((part) => decode(parts.number(encode(part.join('')))))
          .join('');
        expect(twice).toBe(once);
        expect(whole.take()).toEqual(events.flatMap(({ ids }) => ids));
        expect(parts.last).toBe(events.length);
        const rest = decode(skipEvents(encode(once), cut));
        expect(rest).toBe(
          once
            .split(/(?<=\n\n)/)
            .slice(cut)
            .join(''),
        );
      }),
    );
  });

  it('skips as many events as there are, and no more', () => {
    const bytes = encode('id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n');
    expect(decode(skipEvents(bytes, 0))).toBe(decode(bytes));
    expect(decode(skipEvents(bytes, 1))).toBe('id: 2\ndata: 2\n\n');
    expect(skipEvents(bytes, 2).length).toBe(0);
    expect(skipEvents(bytes, 3).length).toBe(0);
  });
});
