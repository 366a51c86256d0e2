/** A file or folder is not what a tool needs, told in one line that begins with its path. */
export class FileToolError extends Error {
  override name = 'FileToolError';
  readonly path: string;

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path}: ${problem}`, options);
    this.path = path;
  }
}

/** Why a system call failed, without the path and the call, which Node puts in the same sentence. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such file or folder';
  if (code === 'EACCES' || code === 'EPERM') return 'not allowed';
  if (code === 'ENOSPC') return 'no space left on the disk';
  if (code === 'EISDIR') return 'is a folder';
  if (code === 'ENOTDIR') return 'is not a folder';
  return message ?? String(error);
}
