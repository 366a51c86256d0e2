/** A file server on a free port of 127.0.0.1, as honest about ranges as asked. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';

export interface RangeServer {
  url(name: string): string;
  /** Bytes of bodies sent so far. */
  sent(): number;
  close(): void;
}

/** @param ranges false: the whole file whatever is asked for */
export async function serveRanges(folder: string, { ranges = true } = {}): Promise<RangeServer> {
  let sent = 0;
  const server = createServer((request, response) => {
    const path = join(folder, basename(new URL(request.url ?? '/', 'http://x').pathname));
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) {
      response.writeHead(404).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (!ranges || !range) {
      response.writeHead(200, { 'content-length': size }).end();
      return;
    }
    const start = Number(range[1]);
    const end = Math.min(Number(range[2]), size - 1);
    if (start > end) {
      response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
      return;
    }
    const body = Buffer.alloc(end - start + 1);
    const file = openSync(path, 'r');
    readSync(file, body, 0, body.length, start);
    closeSync(file);
    sent += body.length;
    response.writeHead(206, { 'content-range': `bytes ${start}-${end}/${size}` }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (name) => `http://127.0.0.1:${port}/${name}`,
    sent: () => sent,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
