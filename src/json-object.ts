/** An object of the client's that goes to the node as it is: a JSON schema. */
import * as z from 'zod/mini';

/** Deeper schemas than anybody writes would overflow the stack of whoever walks them, `JSON.stringify` first. */
const deepest = 64;

export const jsonObject = z
  .record(z.string(), z.unknown(), 'must be an object.')
  .check(z.refine((value) => isShallow(value), `must not be nested more than ${deepest} levels deep.`));

/** Level by level and not by recursion, which is what it guards against. */
function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= deepest; depth++) {
    const next: unknown[] = [];
    for (const one of level) {
      if (typeof one !== 'object' || one === null) continue;
      for (const inner of Object.values(one)) next.push(inner);
    }
    if (next.length === 0) return true;
    level = next;
  }
  return false;
}
