/** Errors between two processes: the class survives by its name, its fields by value. */
import * as engineErrors from '../engine/errors.ts';
import * as modelErrors from '../engine/model-errors.ts';
import * as grammarErrors from '../grammar/errors.ts';
import * as nativeErrors from '../native/errors.ts';

export interface WireError {
  name: string;
  message: string;
  stack?: string;
  /** Own fields of the class, such as `promptTokens`. */
  fields: Record<string, unknown>;
}

const classes = new Map<string, ErrorConstructor>(
  [
    ...Object.values(engineErrors),
    ...Object.values(grammarErrors),
    ...Object.values(modelErrors),
    ...Object.values(nativeErrors),
    RangeError,
    TypeError,
  ]
    .filter((value) => typeof value === 'function')
    .map((value) => [value.name, value as unknown as ErrorConstructor]),
);

export function toWire(thrown: unknown): WireError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown), fields: {} };
  const fields = Object.fromEntries(
    Object.entries(thrown).filter(
      ([key, value]) => !['name', 'cause'].includes(key) && typeof value !== 'function',
    ),
  );
  const { name, message, stack } = thrown;
  return { name, message, ...(stack === undefined ? {} : { stack }), fields };
}

/** An error that `instanceof` and its fields know as the one that was thrown over there. */
export function fromWire({ name, message, stack, fields }: WireError): Error {
  const error = new Error(message);
  const known = classes.get(name);
  if (known) Object.setPrototypeOf(error, known.prototype);
  Object.assign(error, fields);
  if (error.name !== name) error.name = name;
  if (stack !== undefined) Object.defineProperty(error, 'stack', { value: stack, configurable: true });
  return error;
}
