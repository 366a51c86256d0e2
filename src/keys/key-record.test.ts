import { expect, it } from 'vitest';
import { judge, type KeyRecord, type KeyRefusal, show } from './key-record.ts';

const now = 1_000_000_000_000;
const record: KeyRecord = {
  id: 'a',
  name: 'a',
  hash: 'new',
  previous: { hash: 'old', until: now / 1000 + 1 },
  limits: {},
  models: ['huozi'],
  scopes: ['inference'],
  labels: {},
  created_at: 0,
  expires_at: now / 1000 + 10,
  revoked_at: null,
};
const shown = { hash: 'new', scope: 'inference', model: 'huozi' } as const;

const cases: [string, Partial<KeyRecord> | undefined, object, number, KeyRefusal | undefined][] = [
  ['opens', {}, {}, now, undefined],
  ['opens with the key before it for a while', {}, { hash: 'old' }, now + 999, undefined],
  ['and then no longer', {}, { hash: 'old' }, now + 1_000, { kind: 'invalid_key' }],
  ['has a hash', {}, { hash: 'other' }, now, { kind: 'invalid_key' }],
  ['expires on time', {}, {}, now + 10_000, { kind: 'key_expired' }],
  ['is revoked whatever else', { revoked_at: 1 }, { scope: 'usage' }, now, { kind: 'key_revoked' }],
  [
    'is not told apart from none by a wrong hash',
    { revoked_at: 1 },
    { hash: '' },
    now,
    { kind: 'invalid_key' },
  ],
  ['has scopes', {}, { scope: 'usage' }, now, { kind: 'missing_scope', scope: 'usage' }],
  ['has all scopes', { scopes: null }, { scope: 'usage' }, now, undefined],
  [
    'names what shows others',
    { scopes: null },
    { scope: 'telemetry' },
    now,
    { kind: 'missing_scope', scope: 'telemetry' },
  ],
  ['may read it then', { scopes: ['telemetry'] }, { scope: 'telemetry' }, now, undefined],
  ['has models', {}, { model: 'x' }, now, { kind: 'model_not_allowed', model: 'x' }],
  ['has no models', { models: [] }, {}, now, { kind: 'model_not_allowed', model: 'huozi' }],
  ['has all models', { models: null }, { model: 'x' }, now, undefined],
  ['needs no model where none is named', {}, { model: undefined }, now, undefined],
];
it.each(cases)('a key %s', (_name, change, credential, at, expected) => {
  expect(judge({ ...record, ...change }, { ...shown, ...credential }, at)).toEqual(expected);
});

it('there is no key without a record', () => {
  expect(judge(undefined, shown, now)).toEqual({ kind: 'invalid_key' });
});

it('no hash is ever shown', () => {
  expect(JSON.stringify(show(record))).not.toMatch(/hash|"new"|"old"/);
});
