/** The two hubs' APIs on 127.0.0.1, and what goes wrong between a hub and a disk. No test reaches the internet. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to one request for one file instead of a plain answer; the first of a file's list is used up. */
export type Mishap =
  /** The connection dies after so many bytes of the body. */
  | { cutAfter: number }
  /** The body ends cleanly, but early: a proxy that lost its upstream. */
  | { endAfter: number }
  | { status: number; headers?: Record<string, string> }
  /** The bytes are damaged on the way. */
  | 'garbled'
  /** The answer is the whole file, whatever range was asked for. */
  | 'ignores-range'
  /** Headers, and then nothing. */
  | 'silent';

export interface FakeHub {
  url: string;
  files: Map<string, Uint8Array>;
  mishaps: Map<string, Mishap[]>;
  /** Of every request: the path, and the headers that matter. */
  requests: { url: string; range?: string; authorization?: string; cookie?: string }[];
  /** Paths that are in LFS; the others have git's checksum on Hugging Face. */
  lfs: Set<string>;
  /** Entries added to the listing as they are. */
  extraEntries: unknown[];
  /** The token that is asked for. */
  token?: string;
  /** Entries a page of Hugging Face's listing. */
  pageSize: number;
  /** What the pages' links name as the host. */
  linkOrigin?: string;
  tellsChecksums: boolean;
  close(): Promise<void>;
}

export async function startFakeHub(): Promise<FakeHub> {
  const server = createServer((request, response) => answer(hub, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hub: FakeHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files: new Map(),
    mishaps: new Map(),
    requests: [],
    lfs: new Set(),
    extraEntries: [],
    pageSize: 1000,
    tellsChecksums: true,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return hub;
}

function answer(hub: FakeHub, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url!, hub.url);
  const { range, authorization, cookie } = request.headers;
  hub.requests.push({
    url: request.url!,
    ...(range ? { range } : {}),
    ...(authorization ? { authorization } : {}),
    ...(cookie ? { cookie } : {}),
  });
  if (hub.token && authorization !== `Bearer ${hub.token}`) {
    response.writeHead(401).end('{}');
    return;
  }
  if (pathname === '/api/models/HIT-SCIR/huozi/tree/main') listHuggingFace(hub, searchParams, response);
  else if (pathname === '/api/v1/models/HIT-SCIR/huozi/repo/files') listModelScope(hub, response);
  else if (pathname === '/api/v1/models/HIT-SCIR/huozi/repo') {
    sendFile(hub, searchParams.get('FilePath')!, range, response);
  } else if (pathname.startsWith('/HIT-SCIR/huozi/resolve/main/')) {
    sendFile(
      hub,
      decodeURIComponent(pathname.slice('/HIT-SCIR/huozi/resolve/main/'.length)),
      range,
      response,
    );
  } else response.writeHead(404).end('{"error":"Repository not found"}');
}

function listHuggingFace(hub: FakeHub, query: URLSearchParams, response: ServerResponse): void {
  const mishap = hub.mishaps.get('listing')?.shift();
  if (typeof mishap === 'object' && 'status' in mishap) {
    response.writeHead(mishap.status, mishap.headers).end();
    return;
  }
  const entries = [
    { type: 'directory', path: 'original', size: 0, oid: '0' },
    ...[...hub.files].map(([path, bytes]) => {
      const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      const lfs = { oid: sha256(bytes), size: bytes.length, pointerSize: 134 };
      return { type: 'file', path, size: bytes.length, oid: git, ...(hub.lfs.has(path) ? { lfs } : {}) };
    }),
    ...hub.extraEntries,
  ];
  const from = Number(query.get('cursor') ?? 0);
  const next = from + hub.pageSize;
  const page = `${hub.linkOrigin ?? hub.url}/api/models/HIT-SCIR/huozi/tree/main?recursive=true&cursor=${next}`;
  const headers = next < entries.length ? { link: `<${page}>; rel="next"` } : {};
  response.writeHead(200, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(entries.slice(from, next)));
}

function listModelScope(hub: FakeHub, response: ServerResponse): void {
  const Files = [
    { Type: 'tree', Path: 'original', Name: 'original', Size: 0 },
    ...[...hub.files].map(([Path, bytes]) => ({
      Type: 'blob',
      Path,
      Size: bytes.length,
      ...(hub.tellsChecksums ? { Sha256: sha256(bytes) } : {}),
    })),
    ...hub.extraEntries,
  ];
  response.end(JSON.stringify({ Code: 200, Success: true, Data: { Files } }));
}

function sendFile(hub: FakeHub, path: string, range: string | undefined, response: ServerResponse): void {
  const bytes = hub.files.get(path);
  if (!bytes) {
    response.writeHead(404).end();
    return;
  }
  const mishap = hub.mishaps.get(path)?.shift();
  if (typeof mishap === 'object' && 'status' in mishap) {
    response.writeHead(mishap.status, mishap.headers).end();
    return;
  }
  const start = mishap === 'ignores-range' ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  if (start >= bytes.length && range) {
    response.writeHead(416).end();
    return;
  }
  const body = Buffer.from(bytes.subarray(start));
  if (mishap === 'garbled') body[body.length >> 1]! ^= 1;
  const partial = start > 0;
  const contentRange = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  if (typeof mishap === 'object' && 'endAfter' in mishap) {
    response.writeHead(partial ? 206 : 200, partial ? contentRange : {});
    response.end(body.subarray(0, mishap.endAfter));
    return;
  }
  response.writeHead(partial ? 206 : 200, {
    'content-length': body.length,
    ...(partial ? contentRange : {}),
  });
  if (mishap === 'silent') response.flushHeaders();
  else if (typeof mishap === 'object') {
    response.write(body.subarray(0, mishap.cutAfter), () => setImmediate(() => response.destroy()));
  } else response.end(body);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
