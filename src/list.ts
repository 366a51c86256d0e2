/**
 * Lists and maps in a body, as schemas that stop at the first item at fault.
 *
 * zod collects every fault of a list before it says one: of a megabyte of items that each fit no member of a union
 * it makes 380,000 issues, which takes seconds. So a list is cut after its first bad item before zod sees it, and one
 * that is too long is refused before any item is looked at.
 */
import * as z from 'zod/mini';
import { knownGood, shortWay } from './known-good.ts';

export function list<Item extends z.ZodMiniType>(
  item: Item,
  { min = 0, max, error }: { min?: number; max: number; error?: string },
) {
  const schema = z.pipe(
    z.transform((value: unknown, context) => {
      if (!Array.isArray(value)) return value;
      if (value.length > max) {
        context.issues.push({
          code: 'too_big',
          origin: 'array',
          maximum: max,
          inclusive: true,
          input: value,
        });
        return z.NEVER;
      }
      const bad = value.findIndex((one) => !item.safeParse(one).success);
      return bad < 0 ? value : value.slice(0, bad + 1);
    }),
    z.array(item, error).check(z.minLength(min), z.maxLength(max)),
  );
  return shortWay(schema, (value) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) return undefined;
    const items: unknown[] = [];
    for (const one of value) {
      const good = knownGood(item, one);
      if (good === undefined) return undefined;
      items.push(good);
    }
    return items;
  });
}

/** The same of an object with names of the client's own. */
export function map<Name extends z.ZodMiniType<string, string>, Value extends z.ZodMiniType>(
  name: Name,
  value: Value,
  { max }: { max: number },
) {
  const pair = z.record(name, value);
  return z.pipe(
    z.transform((given: unknown, context) => {
      if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
      const entries = Object.entries(given);
      if (entries.length > max) {
        const message = `must have at most ${max} entries.`;
        context.issues.push({ code: 'custom', message, input: given });
        return z.NEVER;
      }
      const bad = entries.find(([one, its]) => !pair.safeParse({ [one]: its }).success);
      return bad ? { [bad[0]]: bad[1] } : given;
    }),
    pair,
  );
}
