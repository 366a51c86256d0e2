/** From the worker to a key's object. */
import type { Call } from '../call.ts';
import { EdgeError } from '../errors.ts';
import { setLimitHeaders } from '../limits/limit-headers.ts';
import type { KeyApi, Remote } from './key-api.ts';
import type { Scope } from './key-record.ts';
import { keyObject } from './objects.ts';

/**
 * Asks once more where that failed, with a new stub: one whose object was moved or updated stays broken. So what is
 * asked must do no harm when it is done twice.
 */
export async function askKey<T>(call: Call, question: (key: Remote<KeyApi>) => Promise<T>): Promise<T> {
  try {
    return await question(keyObject(call.env, call.keyId));
  } catch {
    try {
      return await question(keyObject(call.env, call.keyId));
    } catch (error) {
      throw new EdgeError({ kind: 'keys_unavailable' }, (error as Error).name);
    }
  }
}

/** For requests that are neither limited nor metered. Throws an EdgeError when the key does not open this. */
export async function authorise(
  call: Call,
  scope: Scope,
  model?: string,
): Promise<{ models: string[] | null }> {
  const { refusal, models, standings } = await askKey(call, (key) =>
    key.authorise({ hash: call.keyHash, scope, model }),
  );
  setLimitHeaders(call.responseHeaders, standings);
  if (refusal) throw new EdgeError(refusal);
  return { models };
}
