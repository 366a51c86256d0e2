/** Where a GGUF's bytes come from: a path, or a URL whose server answers range requests. */
import { open } from 'node:fs/promises';
import { GgufError } from './errors.ts';

const requestTimeoutMs = 60_000;

export const isRemote = (uri: string) => /^https?:\/\//.test(uri);

/** Size in bytes of the whole, and its first bytes. @throws GgufError */
export async function readStart(uri: string, length: number): Promise<{ size: number; start: Buffer }> {
  return isRemote(uri) ? readRemoteStart(uri, length) : readLocalStart(uri, length);
}

async function readLocalStart(path: string, length: number) {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new GgufError('missing', path, error.code === 'ENOENT' ? 'no such file' : error.message);
  });
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new GgufError('missing', path, 'not a file');
    const start = Buffer.alloc(Math.min(length, stat.size));
    await file.read(start, 0, start.length, 0);
    return { size: stat.size, start };
  } finally {
    await file.close();
  }
}

async function readRemoteStart(url: string, length: number) {
  const response = await rangeFetch(url, { headers: { Range: `bytes=0-${length - 1}` } });
  const size = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]);
  if (!Number.isSafeInteger(size))
    throw new GgufError('unreachable', url, 'the server does not say its size');
  return { size, start: Buffer.from(await response.arrayBuffer()) };
}

/**
 * `fetch` that insists on partial answers: a server that ignores `Range` would send the whole model.
 * @throws GgufError
 */
export const rangeFetch: typeof fetch = async (input, init) => {
  const url = String(input);
  const signal = AbortSignal.timeout(requestTimeoutMs);
  const response = await fetch(input, { ...init, signal }).catch((error: Error) => {
    const cause = error.cause instanceof Error ? error.cause.message : error.message;
    throw new GgufError('unreachable', url, `cannot be fetched: ${cause}`);
  });
  if (response.status === 206) return response;
  await response.body?.cancel();
  // 416: nothing of the file lies in the range, so the header claims more than there is.
  if (response.status === 416) throw new GgufError('truncated', url, 'ends inside its header');
  const reason = response.ok ? 'does not answer range requests' : `answers ${response.status}`;
  throw new GgufError('unreachable', url, `the server ${reason}`);
};
