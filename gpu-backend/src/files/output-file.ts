/** Files and folders that are there whole or not at all. */
import { rmSync } from 'node:fs';
import { access, type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FileToolError, reason } from './errors.ts';

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
  await writeNamedFile(path, force, async (temporary) => {
    const handle = await open(temporary, 'wx');
    try {
      await write(handle);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  });
}

/** The same for a writer that wants a name, such as llama.cpp's. */
export async function writeNamedFile(
  path: string,
  force: boolean,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  if (!force && (await exists(path))) throw new FileToolError(path, 'exists already (--force replaces it)');
  await withTemporary(path, async (temporary) => {
    await write(temporary);
    await rename(temporary, path);
  });
}

/** The same for a folder. With `force`, files of other names that are in `path` already stay there. */
export async function writeOutputFolder(
  path: string,
  force: boolean,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const before = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new FileToolError(path, reason(error), { cause: error });
  });
  if (before.length > 0 && !force) {
    throw new FileToolError(
      path,
      'exists already and is not empty (--force replaces files of the same names)',
    );
  }
  await withTemporary(path, async (temporary) => {
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    await mkdir(path, { recursive: true });
    for (const name of await readdir(temporary)) await rename(join(temporary, name), join(path, name));
    await rm(temporary, { recursive: true });
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function withTemporary(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path.replace(/[\\/]+$/, '')}.${process.pid}.part`;
  const stopWatching = removeOnSignal(temporary);
  try {
    await write(temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (error instanceof FileToolError || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new FileToolError(path, `cannot be written: ${reason(error)}`, { cause: error });
  } finally {
    stopWatching();
  }
}

function removeOnSignal(temporary: string): () => void {
  const signals = [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const;
  const watchers = signals.map(([signal, code]) => {
    const end = () => {
      rmSync(temporary, { recursive: true, force: true });
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
