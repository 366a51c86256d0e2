/** A model repository → a folder: what is here already stays, what is half here goes on, everything is checked. */
import { join } from 'node:path';
import picomatch from 'picomatch';
import { download, matches, partName, sizeOf } from './download.ts';
import { FileToolError } from './errors.ts';
import { type HttpOptions, httpDefaults } from './http.ts';
import { hubs, type RemoteFile } from './hub.ts';

export interface PullOptions {
  source: keyof typeof hubs;
  /** `owner/name`. */
  repo: string;
  /** A folder. */
  out: string;
  /** Another server that speaks the hub's API, without a slash at the end. */
  endpoint?: string;
  /** Branch, tag or commit. */
  revision?: string;
  /** Only files that match one of these; a glob without a slash is matched against the file's name alone. */
  include?: readonly string[];
  token?: string;
  /** Replace files that differ from the hub's. */
  force?: boolean;
  /** Files that are fetched at the same time. */
  jobs?: number;
  http?: Partial<Pick<HttpOptions, 'tries' | 'firstDelayMs' | 'idleMs'>>;
  signal?: AbortSignal;
  /** Bytes in all, and those that are here already in unfinished parts; told once before `onProgress`. */
  onStart?(totalBytes: number, doneBytes: number): void;
  /** Bytes that came or were found here; negative when some have to come again. */
  onProgress?(bytes: number): void;
}

export interface PullResult {
  files: number;
  bytes: number;
  /** Files that were here already, complete. */
  kept: number;
  /** Files for which the hub told no checksum, so that only their size was compared. */
  unchecked: number;
}

/** @throws FileToolError beginning with the file or the URL; parts of files stay and are gone on with next time */
export async function pull(options: PullOptions): Promise<PullResult> {
  const { source, repo, out, include = [], token, force = false, jobs = 4, onStart, onProgress } = options;
  const hub = hubs[source];
  const { endpoint = hub.defaultEndpoint, revision = hub.defaultRevision } = options;
  // One failure ends the other downloads as well.
  const stop = new AbortController();
  const http: HttpOptions = {
    ...httpDefaults,
    ...options.http,
    headers: token ? hub.headers(token) : {},
    tokenVariable: hub.tokenVariable,
    signal: options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal,
  };

  const listed = await hub.list(endpoint, repo, revision, http);
  const wanted = include.map((glob) => picomatch(glob, { basename: !glob.includes('/'), dot: true }));
  const files = listed.filter(({ path }) => wanted.length === 0 || wanted.some((matches) => matches(path)));
  if (files.length === 0) {
    throw new FileToolError(
      repo,
      listed.length === 0 ? 'holds no files' : `none of its ${listed.length} files matches`,
    );
  }
  if (!force) await refuseOthers(out, files);

  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const parts = await Promise.all(files.map((file) => sizeOf(partName(join(out, file.path), file))));
  onStart?.(
    bytes,
    parts.reduce<number>((sum, size) => sum + (size ?? 0), 0),
  );

  let kept = 0;
  const queue = files.values();
  const work = async () => {
    for (const file of queue) {
      const target = join(out, file.path);
      if (await matches(target, file)) {
        kept++;
        onProgress?.(file.bytes);
        continue;
      }
      if (!force && (await sizeOf(target)) !== undefined) throw differs(target);
      await download(file, target, http, (count) => onProgress?.(count));
    }
  };
  const workers = Array.from({ length: Math.min(jobs, files.length) }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
  return { files: files.length, bytes, kept, unchecked: files.filter(({ checksum }) => !checksum).length };
}

/** What size alone tells is told before anything is fetched. */
async function refuseOthers(out: string, files: readonly RemoteFile[]): Promise<void> {
  for (const { path, bytes } of files) {
    const target = join(out, path);
    const size = await sizeOf(target);
    if (size !== undefined && size !== bytes) throw differs(target);
  }
}

function differs(target: string): FileToolError {
  return new FileToolError(target, "exists already and is not the hub's (--force replaces it)");
}
