/**
 * The header of a GGUF: metadata and what its tensors are, without a byte of the weights. Some 2 MB of a model
 * with 57,000 tokens, whether it lies on disk or on a server.
 */
import { type GGUFParseOutput, gguf, parseGgufShardFilename } from '@huggingface/gguf';
import { GgufError } from './errors.ts';
import { type GgmlType, ggmlTypes, typeBytes } from './ggml-types.ts';
import { isRemote, rangeFetch, readStart } from './source.ts';

export interface TensorInfo {
  name: string;
  /** Values of one row first, as ggml counts: `[columns, rows, experts]`. */
  shape: readonly number[];
  type: GgmlType;
  /** Without padding. */
  bytes: number;
}

export interface GgufHeader {
  /** Path or URL of what was asked for. */
  uri: string;
  /** Its shards in order, or the one file. */
  files: readonly { uri: string; bytes: number }[];
  metadata: ReadonlyMap<string, unknown>;
  tensors: readonly TensorInfo[];
}

/** Magic, version, tensor count, metadata count. */
const fixedHeaderBytes = 24;
/** A tensor is described in 24 bytes and its name at least, a metadata value in 13. */
const leastBytes = { tensor: 24, metadata: 13 };
const maxDimensions = 4;

/**
 * @param uri a path or an http(s) URL; any shard of a split file stands for all of them
 * @throws GgufError
 */
export async function readHeader(uri: string): Promise<GgufHeader> {
  const parts = [];
  for (const shard of shards(uri)) parts.push(await readFile(shard));
  const tensors = parts.flatMap((part) => part.tensors);
  const names = new Set(tensors.map(({ name }) => name));
  if (names.size !== tensors.length) throw new GgufError('damaged', uri, 'two tensors share a name');
  const metadata = parts[0]?.metadata ?? new Map();
  const expected = metadata.get('split.tensors.count');
  if (typeof expected === 'number' && parts.length > 1 && expected !== tensors.length) {
    throw new GgufError('damaged', uri, `its shards hold ${tensors.length} tensors, not ${expected}`);
  }
  if (parts.length === 1 && Number(metadata.get('split.count') ?? 1) > 1) {
    throw new GgufError(
      'damaged',
      uri,
      `is one shard of ${metadata.get('split.count')}, and its name hides which`,
    );
  }
  return { uri, files: parts.map(({ file, bytes }) => ({ uri: file, bytes })), metadata, tensors };
}

function shards(uri: string): string[] {
  const query = isRemote(uri) ? (/\?.*$/.exec(uri)?.[0] ?? '') : '';
  const shard = parseGgufShardFilename(uri.slice(0, uri.length - query.length));
  if (!shard) return [uri];
  return Array.from(
    { length: Number(shard.total) },
    (_, i) => `${shard.prefix}-${String(i + 1).padStart(5, '0')}-of-${shard.total}.gguf${query}`,
  );
}

async function readFile(file: string) {
  const { size, start } = await readStart(file, fixedHeaderBytes);
  checkStart(file, size, start);
  const parsed = await parse(file);
  // The parser reads zeros past the end of a file; a header that reaches there is none.
  if (parsed.tensorInfoByteRange[1] > size) throw new GgufError('truncated', file, 'ends inside its header');
  return {
    file,
    bytes: size,
    metadata: new Map(Object.entries(parsed.metadata).map(([key, value]) => [key, plain(value)])),
    tensors: readTensors(file, size, parsed),
  };
}

/** So that a damaged count costs an error message instead of a minute of parsing nothing. */
function checkStart(file: string, size: number, start: Buffer): void {
  if (start.subarray(0, 4).toString('latin1') !== 'GGUF') {
    throw new GgufError('not-gguf', file, 'not a GGUF file');
  }
  if (start.length < fixedHeaderBytes) throw new GgufError('truncated', file, 'ends inside its header');
  const version = start.readUInt32LE(4);
  if (version !== 2 && version !== 3) {
    throw new GgufError('unsupported', file, `GGUF version ${version}; 2 and 3 are known`);
  }
  const tensors = start.readBigUInt64LE(8);
  const values = start.readBigUInt64LE(16);
  if (tensors * BigInt(leastBytes.tensor) + values * BigInt(leastBytes.metadata) > BigInt(size)) {
    throw new GgufError('damaged', file, `${size} bytes cannot hold ${tensors} tensors and ${values} values`);
  }
}

type Parsed = GGUFParseOutput<{ strict: false }>;

async function parse(file: string): Promise<Parsed> {
  try {
    return (await (isRemote(file)
      ? gguf(file, { fetch: rangeFetch })
      : gguf(file, { allowLocalFile: true }))) as Parsed;
  } catch (error) {
    if (error instanceof GgufError) throw error;
    throw new GgufError('damaged', file, `damaged header: ${(error as Error).message}`);
  }
}

function readTensors(file: string, size: number, parsed: Parsed): TensorInfo[] {
  const dataStart = Number(parsed.tensorDataOffset);
  return parsed.tensorInfos.map(({ name, shape: dimensions, dtype, offset }) => {
    const damaged = (what: string) => new GgufError('damaged', file, `tensor "${printable(name)}" ${what}`);
    const type = ggmlTypes[dtype];
    if (!type) throw damaged(`has type ${dtype}, which this version does not know`);
    const shape = dimensions.map(Number);
    if (shape.length === 0 || shape.length > maxDimensions || shape.some((n) => n < 1)) {
      throw damaged(`has the shape [${shape.join(', ')}]`);
    }
    if ((shape[0] ?? 1) % type.blockSize !== 0) {
      throw damaged(`has rows of ${shape[0]} values, no whole number of ${type.name} blocks`);
    }
    const bytes = typeBytes(
      type,
      shape.reduce((product, n) => product * n, 1),
    );
    if (dataStart + Number(offset) + bytes > size) {
      throw new GgufError(
        'truncated',
        file,
        `${size} bytes, but tensor "${printable(name)}" ends at ${dataStart + Number(offset) + bytes}: incomplete`,
      );
    }
    return { name, shape, type, bytes };
  });
}

/** 64-bit metadata comes as bigint; counts and ids fit a number. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value) && typeof value[0] === 'bigint') return value.map(Number);
  return value;
}

/** A damaged name may hold anything; an error is one line on a terminal. */
function printable(name: string): string {
  return name.slice(0, 64).replaceAll(/[^\x20-\x7e]/g, '?');
}
