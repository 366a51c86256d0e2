/** A file that is there whole or not at all. */
import { unlinkSync } from 'node:fs';
import { access, type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { FileToolError, reason } from './errors.ts';

/** @throws FileToolError when `path` exists and may not be replaced */
export async function refuseToOverwrite(path: string, force: boolean): Promise<void> {
  if (force) return;
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists) throw new FileToolError(path, 'exists already (--force replaces it)');
}

/**
 * Lets `write` fill a file beside `path` and gives it its name when it is complete. A failure, Ctrl-C and
 * SIGTERM leave nothing behind; what was at `path` stays until the end.
 *
 * @throws FileToolError when `path` exists without `force`, or cannot be written
 */
export async function writeOutputFile(
  path: string,
  force: boolean,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  await withTemporaryName(path, force, async (temporary) => {
    const handle = await open(temporary, 'wx').catch((error: unknown) => {
      throw new FileToolError(path, `cannot be written: ${reason(error)}`, { cause: error });
    });
    try {
      await write(handle);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  });
}

/** The same for a writer that wants a name, such as llama.cpp's. */
export async function withTemporaryName(
  path: string,
  force: boolean,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  await refuseToOverwrite(path, force);
  const temporary = `${path}.${process.pid}.part`;
  const stopWatching = removeOnSignal(temporary);
  try {
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    if (error instanceof FileToolError || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new FileToolError(path, `cannot be written: ${reason(error)}`, { cause: error });
  } finally {
    stopWatching();
  }
}

function removeOnSignal(temporary: string): () => void {
  const watchers = (
    [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const
  ).map(([signal, code]) => {
    const end = () => {
      try {
        unlinkSync(temporary);
      } catch {
        // Not there yet, or renamed a moment ago.
      }
      process.exit(code);
    };
    process.once(signal, end);
    return () => process.off(signal, end);
  });
  return () => {
    for (const stop of watchers) stop();
  };
}

/** Appends all of `data`: one write call may take less. */
export async function writeFully(handle: FileHandle, data: Uint8Array): Promise<void> {
  for (let done = 0; done < data.length; ) {
    done += (await handle.write(data, done, data.length - done)).bytesWritten;
  }
}
