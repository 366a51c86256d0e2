import { expect, test } from 'vitest';
import { ggmlTypeTable } from '../native/testing/reports.ts';
import { ggmlTypes } from './ggml-types.ts';

test('every type has the block that ggml gives it, and no type is left out', () => {
  const native = ggmlTypeTable().flatMap((type, id) => (type.blockBytes > 0 ? [[id, type] as const] : []));
  expect(native.length).toBeGreaterThan(30);
  expect(ggmlTypes).toEqual(Object.fromEntries(native));
});
