/** Models of a shape, read from headers that are written for it: as real files would be. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHeader } from '../../gguf/header.ts';
import { type Model, readModel } from '../../gguf/model.ts';
import type { FileType } from '../../gguf/quant-mix.ts';
import { huozi, mixtral, writeSynthetic } from '../../gguf/testing/synthetic.ts';

const shapes = { huozi, mixtral };
const models = new Map<string, Promise<Model>>();

export function syntheticModel(shape: keyof typeof shapes, fileType: FileType): Promise<Model> {
  const key = `${shape} ${fileType}`;
  const model = models.get(key) ?? read(shape, fileType);
  models.set(key, model);
  return model;
}

async function read(shape: keyof typeof shapes, fileType: FileType): Promise<Model> {
  const folder = mkdtempSync(join(tmpdir(), 'huozi-plan-'));
  const path = join(folder, `${shape}-${fileType}.gguf`);
  try {
    writeSynthetic(path, { shape: shapes[shape], fileType });
    return readModel(await readHeader(path));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
