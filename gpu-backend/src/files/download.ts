/** One file of a hub → disk: resumed where the last try ended, checked, and under its name only when it is right. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FileToolError, reason } from './errors.ts';
import { type HttpOptions, networkReason, requestOnce, retrying, TransientError } from './http.ts';
import type { RemoteFile } from './hub.ts';
import { writeFully } from './output-file.ts';

/** Bytes that came, or, negative, that have to come again. */
export type OnBytes = (bytes: number) => void;

/** What is here of a file. The checksum is in the name, so that another revision's part is never gone on with. */
export function partName(target: string, { checksum }: RemoteFile): string {
  return checksum ? `${target}.${checksum.hex.slice(0, 12)}.part` : `${target}.part`;
}

/** @returns undefined when there is no such file */
export function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

/** True if the bytes at `path` are those the hub tells of; size alone decides where it tells no checksum. */
export async function matches(path: string, file: RemoteFile, onBytes?: OnBytes): Promise<boolean> {
  if ((await sizeOf(path)) !== file.bytes) return false;
  const hash = startHash(file);
  await hashFile(path, hash, onBytes);
  return !file.checksum || hash.digest('hex') === file.checksum.hex;
}

/**
 * Bytes that are in the part already are counted by the caller.
 *
 * @throws FileToolError when the hub refuses, when the network fails too often, when the checksum is wrong twice
 */
export async function download(
  file: RemoteFile,
  target: string,
  http: HttpOptions,
  onBytes: OnBytes,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const part = partName(target, file);
  let furthest = 0;
  let wrongBefore = false;
  const attempt = async () => {
    await fetchRest(file, part, http, onBytes);
    if (await matches(part, file)) return;
    await rm(part);
    onBytes(-file.bytes);
    if (wrongBefore)
      throw new FileToolError(target, 'came twice with a wrong checksum; nothing of it was kept');
    wrongBefore = true;
    throw new TransientError('the checksum is wrong');
  };
  let reached = 0;
  await retrying(
    file.url,
    http,
    async () => {
      try {
        await attempt();
      } finally {
        reached = (await sizeOf(part)) ?? 0;
      }
    },
    () => {
      const progressed = reached > furthest;
      furthest = Math.max(furthest, reached);
      return progressed;
    },
  );
  await rename(part, target);
}

/** Appends to the part what it lacks. */
async function fetchRest(file: RemoteFile, part: string, http: HttpOptions, onBytes: OnBytes): Promise<void> {
  let have = (await sizeOf(part)) ?? 0;
  if (have > file.bytes) {
    onBytes(-have);
    have = 0;
  }
  if (have === file.bytes && have > 0) return;
  const range = have > 0 ? { range: `bytes=${have}-` } : {};
  const response = await requestOnce(file.url, http, range, [416]);
  const resumes =
    response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${have}-`);
  if (response.status === 416 || (response.status === 206 && !resumes)) {
    await response.body?.cancel();
    await rm(part, { force: true });
    onBytes(-have);
    throw new TransientError('the hub cannot go on where we stopped');
  }
  if (have > 0 && !resumes) onBytes(-have);
  const handle = await open(part, resumes ? 'a' : 'w');
  try {
    await appendBody(response, part, handle, file.bytes - (resumes ? have : 0), http, onBytes);
  } finally {
    await handle.close();
  }
}

async function appendBody(
  response: Response,
  part: string,
  handle: FileHandle,
  expected: number,
  { signal, idleMs }: HttpOptions,
  onBytes: OnBytes,
): Promise<void> {
  let left = expected;
  const reader = response.body?.getReader();
  let timer: NodeJS.Timeout | undefined;
  try {
    while (reader) {
      timer = setTimeout(() => void reader.cancel().catch(() => undefined), idleMs);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      signal.throwIfAborted();
      if (done) break;
      left -= value.length;
      if (left < 0) throw new TransientError('the file is longer than the hub says');
      await writeFully(handle, value).catch((error: unknown) => {
        throw new FileToolError(part, `cannot be written: ${reason(error)}`, { cause: error });
      });
      onBytes(value.length);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TransientError || error instanceof FileToolError) throw error;
    throw new TransientError(`the connection broke (${networkReason(error)})`, { cause: error });
  } finally {
    clearTimeout(timer);
    await reader?.cancel().catch(() => undefined);
  }
  if (left > 0) throw new TransientError('the connection ended early');
}

function startHash({ checksum, bytes }: RemoteFile): Hash {
  if (checksum?.algorithm === 'git-sha1') return createHash('sha1').update(`blob ${bytes}\0`);
  return createHash('sha256');
}

async function hashFile(path: string, hash: Hash, onBytes?: OnBytes): Promise<void> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    onBytes?.((chunk as Buffer).length);
  }
}
