/** Scalar metadata of a GGUF file, read before anything of the model is loaded. */
import koffi from 'koffi';
import { loadLibrary } from './library.ts';
import { clearLog, lastErrors } from './log.ts';

/** `enum gguf_type` → how to read it; strings (8) and arrays (9) are no scalars. */
const scalarTypes: Record<number, string> = {
  0: 'uint8',
  1: 'int8',
  2: 'uint16',
  3: 'int16',
  4: 'uint32',
  5: 'int32',
  6: 'float',
  7: 'bool',
  10: 'uint64',
  11: 'int64',
  12: 'double',
};

type Scalar = string | number | boolean;

/** The values of `keys` that the file has, or why it cannot be read, on one line. */
export function readMetadata(
  path: string,
  keys: readonly string[],
): Map<string, Scalar> | { failure: string } {
  const lib = loadLibrary();
  clearLog();
  const file = lib.gguf_init_from_file(path, { no_alloc: true, ctx: null });
  if (file === null) return { failure: lastErrors() || 'not a GGUF file' };
  const found = new Map<string, Scalar>();
  for (const key of keys) {
    const id = lib.gguf_find_key(file, key);
    if (id < 0) continue;
    const type = lib.gguf_get_kv_type(file, id);
    if (type === 8) found.set(key, lib.gguf_get_val_str(file, id));
    const scalar = scalarTypes[type];
    if (scalar) found.set(key, koffi.decode(lib.gguf_get_val_data(file, id), scalar));
  }
  lib.gguf_free(file);
  return found;
}
