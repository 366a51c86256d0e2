import { readFile } from 'node:fs/promises';
import type { ZodType } from 'zod';
import { FileToolError, reason } from './errors.ts';

/** @throws FileToolError when the file is missing, is no JSON, or does not fit the schema */
export async function readJsonFile<T>(path: string, schema: ZodType<T>): Promise<T> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new FileToolError(path, reason(error), { cause: error });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FileToolError(path, 'is not valid JSON', { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new FileToolError(
    path,
    `${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'does not fit'}`,
  );
}

/** The same, for a file that need not be there. */
export async function readOptionalJsonFile<T>(path: string, schema: ZodType<T>): Promise<T | undefined> {
  try {
    return await readJsonFile(path, schema);
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
    throw error;
  }
}
