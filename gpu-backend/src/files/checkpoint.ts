/** A Hugging Face folder's weights: one or many safetensors shards, and the index that says what is where. */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FileToolError, reason } from './errors.ts';
import { readOptionalJsonFile } from './json-file.ts';
import { readFully, readSafetensorsHeader, type TensorPlace } from './safetensors.ts';

const indexName = 'model.safetensors.index.json';

export interface Checkpoint {
  folder: string;
  /** File names inside `folder`, sorted. */
  shards: readonly string[];
  /** By name; shard by shard, by name inside a shard. */
  tensors: ReadonlyMap<string, TensorPlace>;
}

const index = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/** @throws FileToolError when a shard is missing or damaged, or index and shards disagree */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      throw new FileToolError(folder, reason(error), { cause: error });
    },
  );
  if (!isFolder) throw new FileToolError(folder, 'is not a folder');
  const indexFile = join(folder, indexName);
  const weightMap = (await readOptionalJsonFile(indexFile, index))?.weight_map;
  const shards = weightMap ? [...new Set(Object.values(weightMap))].sort() : await listShards(folder);
  if (shards.length === 0) throw new FileToolError(folder, 'holds no model*.safetensors');

  const tensors = new Map<string, TensorPlace>();
  for (const shard of shards) {
    if (/[\\/]/.test(shard)) throw new FileToolError(indexFile, `names a file outside the folder: ${shard}`);
    for (const place of await readSafetensorsHeader(join(folder, shard))) {
      if (tensors.has(place.name)) throw new FileToolError(place.file, `tensor ${place.name} comes twice`);
      tensors.set(place.name, place);
    }
  }
  if (weightMap) compareWithIndex(indexFile, weightMap, tensors);
  return { folder, shards, tensors };
}

async function listShards(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^model.*\.safetensors$/.test(name)).sort();
}

function compareWithIndex(
  indexFile: string,
  weightMap: Record<string, string>,
  tensors: ReadonlyMap<string, TensorPlace>,
): void {
  for (const [name, shard] of Object.entries(weightMap)) {
    if (!tensors.has(name)) throw new FileToolError(indexFile, `${shard} lacks tensor ${name}`);
  }
  for (const [name, place] of tensors) {
    if (!Object.hasOwn(weightMap, name)) {
      throw new FileToolError(indexFile, `does not name tensor ${name}, which is in ${place.file}`);
    }
  }
}

/** Reads parts of tensors; keeps each shard open until `close`. */
export class TensorReader {
  readonly #handles = new Map<string, Promise<FileHandle>>();

  /** Fills `target` from the tensor's byte `start` on. */
  async read(place: TensorPlace, start: number, target: Uint8Array): Promise<void> {
    let handle = this.#handles.get(place.file);
    if (!handle) {
      handle = open(place.file);
      this.#handles.set(place.file, handle);
    }
    await readFully(await handle, place.file, target, place.offset + start);
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#handles.values());
    await Promise.all(opened.map((result) => result.status === 'fulfilled' && result.value.close()));
  }
}
