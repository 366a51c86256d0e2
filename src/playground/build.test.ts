/** What a browser loads of the playground: how much, and from where. */
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { bundlePlayground } from './build.ts';

const most = 100 * 1024;

it(`is at most ${most / 1024} KiB as it is transferred, gzipped, all views together`, async () => {
  const files = await bundlePlayground();
  const sizes = files.map(({ path, contents }) => ({
    path,
    raw: contents.byteLength,
    gzip: gzipSync(contents, { level: 6 }).byteLength,
  }));
  const sum = (kind: 'raw' | 'gzip') => sizes.reduce((all, size) => all + size[kind], 0);
  process.stdout.write(`playground: ${sum('gzip')} bytes gzipped, ${sum('raw')} as they are\n`);
  expect(sum('gzip')).toBeLessThan(most);
});

it('has no inline script or style, and names no other host', async () => {
  const files = await bundlePlayground();
  const text = (path: string) => new TextDecoder().decode(files.find((file) => file.path === path)!.contents);
  const page = text('index.html');
  expect(page).not.toMatch(/<script(?![^>]* src=)|<style| style=| on\w+=|javascript:/);
  // All three point at what was built.
  const linked = [...page.matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, path]) => path);
  expect(linked).toHaveLength(3);
  for (const path of linked) expect(files.map((file) => file.path)).toContain(path);
  const hosts = files.flatMap(({ contents }) => [
    ...new TextDecoder().decode(contents).matchAll(/https?:\/\/([\w-]+\.[\w.-]+)/g),
  ]);
  // Names of XML vocabularies, and where marked asks for its errors to be told: text, which nobody loads.
  const named = ['www.w3.org', 'github.com'];
  expect(hosts.map(([, host]) => host!).filter((host) => !named.includes(host))).toEqual([]);
});
