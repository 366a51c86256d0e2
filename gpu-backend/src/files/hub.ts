/** What a model repository holds, by the APIs of the two hubs that Huozi is published on. */
import { z } from 'zod';
import { FileToolError } from './errors.ts';
import { type HttpOptions, requestText } from './http.ts';

type Checksum =
  | { algorithm: 'sha256'; hex: string }
  /** Git's name of a file that is not in LFS: SHA-1 over `blob <size>\0` and the bytes. */
  | { algorithm: 'git-sha1'; hex: string };

export interface RemoteFile {
  /** Relative, with slashes; checked to stay inside the folder it is joined to. */
  path: string;
  bytes: number;
  /** ModelScope does not tell one for every file. */
  checksum?: Checksum;
  url: string;
}

export interface Hub {
  defaultRevision: string;
  defaultEndpoint: string;
  /** The environment variable that holds the token. */
  tokenVariable: string;
  headers(token: string): Record<string, string>;
  list(endpoint: string, repo: string, revision: string, http: HttpOptions): Promise<RemoteFile[]>;
}

const huggingFaceEntry = z.looseObject({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: z.string(),
  lfs: z.optional(z.looseObject({ oid: z.string(), size: z.int().nonnegative() })),
});

const modelScopeListing = z.looseObject({
  Code: z.int(),
  Message: z.optional(z.string()),
  Data: z.nullish(
    z.looseObject({
      Files: z.nullish(
        z.array(
          z.looseObject({
            Type: z.string(),
            Path: z.string(),
            Size: z.int().nonnegative(),
            Sha256: z.nullish(z.string()),
          }),
        ),
      ),
    }),
  ),
});

export const hubs = {
  huggingface: {
    defaultRevision: 'main',
    defaultEndpoint: 'https://huggingface.co',
    tokenVariable: 'HF_TOKEN',
    headers: (token) => ({ authorization: `Bearer ${token}` }),
    async list(endpoint, repo, revision, http) {
      const files: RemoteFile[] = [];
      const tree = `${endpoint}/api/models/${repo}/tree/${encodeURIComponent(revision)}?recursive=true`;
      for (let next: string | undefined = tree; next; ) {
        const { headers, text } = await requestText(next, http);
        for (const entry of parse(next, text, z.array(huggingFaceEntry))) {
          if (entry.type !== 'file') continue;
          files.push({
            path: checkPath(tree, entry.path),
            bytes: entry.lfs?.size ?? entry.size,
            checksum: entry.lfs
              ? { algorithm: 'sha256', hex: entry.lfs.oid.replace(/^sha256:/, '') }
              : { algorithm: 'git-sha1', hex: entry.oid },
            url: `${endpoint}/${repo}/resolve/${encodeURIComponent(revision)}/${encodePath(entry.path)}`,
          });
        }
        next = nextPage(endpoint, headers);
      }
      return files;
    },
  },
  modelscope: {
    defaultRevision: 'master',
    defaultEndpoint: 'https://modelscope.cn',
    tokenVariable: 'MODELSCOPE_API_TOKEN',
    // The cookie is what the older of its endpoints look at.
    headers: (token) => ({ authorization: `Bearer ${token}`, cookie: `m_session_id=${token}` }),
    async list(endpoint, repo, revision, http) {
      const base = `${endpoint}/api/v1/models/${repo}/repo`;
      const url = `${base}/files?Revision=${encodeURIComponent(revision)}&Recursive=true`;
      const { text } = await requestText(url, http);
      const { Code, Message, Data } = parse(url, text, modelScopeListing);
      if (Code !== 200) throw new FileToolError(url, `the hub says: ${Message || `code ${Code}`}`);
      return (Data?.Files ?? [])
        .filter(({ Type }) => Type !== 'tree')
        .map(({ Path, Size, Sha256 }) => ({
          path: checkPath(url, Path),
          bytes: Size,
          ...(Sha256 ? { checksum: { algorithm: 'sha256', hex: Sha256.toLowerCase() } as const } : {}),
          url: `${base}?Revision=${encodeURIComponent(revision)}&FilePath=${encodeURIComponent(Path)}`,
        }));
    },
  },
} as const satisfies Record<string, Hub>;

function parse<T>(url: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A login page, most likely; undefined fits no schema.
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new FileToolError(url, "the answer is not this hub's list of files");
  return parsed.data;
}

/** The next page's path, on the endpoint in use: a mirror may pass the hub's own address through. */
function nextPage(endpoint: string, headers: Headers): string | undefined {
  const link = /<([^>]+)>;\s*rel="next"/.exec(headers.get('link') ?? '')?.[1];
  if (!link) return undefined;
  const { pathname, search } = new URL(link, endpoint);
  return `${new URL(endpoint).origin}${pathname}${search}`;
}

/** A hub, or who speaks in its name, must not choose where on this disk a file goes. */
function checkPath(url: string, path: string): string {
  const segments = path.split('/');
  const harmless = segments.every(
    (part) => part !== '' && part !== '.' && part !== '..' && !/[\\:\p{Cc}]/u.test(part),
  );
  if (!harmless) throw new FileToolError(url, `lists a file with the name ${JSON.stringify(path)}`);
  return path;
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
