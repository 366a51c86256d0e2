/** The files of a batch: OpenAI's lines in, OpenAI's lines out. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { UsageError } from './terminal.ts';

/** The API's paths that a line may name. */
const paths = {
  '/v1/chat/completions': '/chat/completions',
  '/v1/completions': '/completions',
  '/v1/responses': '/responses',
};

export interface BatchRequest {
  id: string;
  /** Below `/v1`. */
  path: string;
  body: object;
  /** As it stands in the file. */
  line: string;
}

export interface BatchResult {
  id: string;
  custom_id: string;
  response: { status_code: number; request_id: string | null; body: unknown } | null;
  error: { code: string; message: string } | null;
}

export const isDone = ({ response }: BatchResult): boolean => response?.status_code === 200;

async function* linesOf(path: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    if (line.trim()) yield line;
  }
}

/**
 * The whole file is looked at before the first request is made: a wrong line at its end must not show after an hour.
 *
 * @returns how many lines it has
 */
export async function checkRequests(path: string): Promise<number> {
  const ids = new Set<string>();
  let count = 0;
  for await (const { id } of readRequests(path)) {
    count++;
    if (ids.has(id)) throw new UsageError(`${path}: custom_id ${id} stands there twice`);
    ids.add(id);
  }
  return count;
}

/** One by one, so that a file of any length fits. */
export async function* readRequests(path: string): AsyncGenerator<BatchRequest> {
  let number = 0;
  for await (const line of linesOf(path)) {
    number++;
    const wrong = (what: string) => new UsageError(`${path}: request ${number}: ${what}`);
    let request: { custom_id?: unknown; method?: unknown; url?: unknown; body?: unknown };
    try {
      request = Object(JSON.parse(line));
    } catch {
      throw wrong('is no JSON');
    }
    const { custom_id: id, method = 'POST', url, body } = request;
    if (typeof id !== 'string' || !id) throw wrong('custom_id is missing');
    if (method !== 'POST') throw wrong(`method is ${method}, not POST`);
    if (typeof url !== 'string' || !Object.hasOwn(paths, url)) {
      throw wrong(`url is ${url}, not one of ${Object.keys(paths).join(', ')}`);
    }
    if (typeof body !== 'object' || !body || Array.isArray(body)) throw wrong('body is no object');
    if ((body as { stream?: unknown }).stream) throw wrong('body.stream: a batch does not stream');
    yield { id, path: paths[url as keyof typeof paths], body, line };
  }
}

/**
 * Opens the results to go on with them: answers that are there stay, failures and a line that a crash tore are left
 * out, to be asked for again.
 */
export async function openResults(path: string): Promise<{ file: FileHandle; done: Set<string> }> {
  const done = new Set<string>();
  const kept = `${path}.partial`;
  const file = await open(kept, 'w');
  try {
    for await (const line of linesOf(path)) {
      const result = parsed(line);
      if (!result || !isDone(result) || done.has(result.custom_id)) continue;
      done.add(result.custom_id);
      await file.write(`${line}\n`);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await file.sync();
  // Under its name only once it is whole: a crash before this loses nothing.
  await rename(kept, path);
  return { file, done };
}

function parsed(line: string): BatchResult | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
