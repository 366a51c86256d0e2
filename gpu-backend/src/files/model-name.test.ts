import { expect, it } from 'vitest';
import { parseModelName } from './model-name.ts';

const huoziParameters = 46_702_792_704;

// What gguf.Metadata.get_model_id_components and id_to_title say of these names.
it.each([
  ['huozi3.5', { name: 'Huozi3.5' }],
  ['HIT-SCIR/huozi3.5', { name: 'Huozi3.5', organization: 'HIT SCIR' }],
  [
    'HIT-SCIR/Chinese-Mixtral-8x7B',
    {
      name: 'Chinese Mixtral 8x7B',
      organization: 'HIT SCIR',
      basename: 'Chinese-Mixtral',
      sizeLabel: '8x7B',
    },
  ],
  [
    'Mixtral-8x7B-Instruct-v0.1',
    {
      name: 'Mixtral 8x7B Instruct v0.1',
      basename: 'Mixtral',
      finetune: 'Instruct',
      version: 'v0.1',
      sizeLabel: '8x7B',
    },
  ],
  ['huozi3.5-ckpt-1', { name: 'Huozi3.5 Ckpt 1', basename: 'huozi3.5-ckpt', version: '1' }],
  ['活字-3.5', { name: '活字 3.5', basename: '活字', version: '3.5' }],
  [
    'Foo-large-47B-128k-q4_0',
    { name: 'Foo Large 47B 128k Q4_0', basename: 'Foo-large', finetune: '128k', sizeLabel: '47B' },
  ],
  ['bloom-47b1', { name: 'Bloom 47b1', basename: 'bloom', sizeLabel: '47.1B' }],
  ['-x--y-', { name: 'X Y' }],
  ['./huozi', { name: 'Huozi' }],
  ['a sentence-7B', { name: 'A Sentence 7B' }],
])('reads %s', (id, expected) => {
  expect(parseModelName(id, huoziParameters)).toEqual(expected);
});
