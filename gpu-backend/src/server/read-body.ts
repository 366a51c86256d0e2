import type { IncomingMessage } from 'node:http';
import { ApiError } from './errors.ts';

const maxBodyBytes = 4 * 1024 * 1024;

/**
 * A request's body as text. Read here and not by hono: its limit for bodies of unknown length builds a new `Request`,
 * which fails on Node where global objects are left alone, so that every chunked request was a 500.
 * @throws ApiError: 413 as soon as it is too large, 400 when the client breaks off
 */
function readBody(incoming: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const tooLarge = () =>
      reject(
        new ApiError(413, `The body is larger than ${maxBodyBytes} bytes.`, {
          code: 'request_too_large',
          headers: { connection: 'close' },
        }),
      );
    if (Number(incoming.headers['content-length'] ?? 0) > maxBodyBytes) return tooLarge();
    const chunks: Buffer[] = [];
    let size = 0;
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      // The rest is read and thrown away until the answer closes the connection.
      if (size > maxBodyBytes) tooLarge();
      else chunks.push(chunk);
    });
    incoming.on('end', () => resolve(Buffer.concat(chunks).toString()));
    const brokenOff = () => reject(new ApiError(400, 'The body is incomplete.', { code: 'invalid_http' }));
    incoming.on('error', brokenOff);
    incoming.on('close', brokenOff);
  });
}

/** @throws ApiError: what `readBody` throws, and 400 for what is not JSON */
export async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const text = await readBody(incoming);
  try {
    return JSON.parse(text);
  } catch {
    // V8's message quotes the body: it stays out of the answer and the log.
    throw new ApiError(400, 'The body is not valid JSON.', { code: 'invalid_json' });
  }
}
