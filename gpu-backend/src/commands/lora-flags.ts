import type { AdapterFile } from '../engine/types.ts';
import { UsageError } from './command.ts';

/** `--lora NAME=PATH` and `--lora-scale NAME=N`; undefined when there is none. */
export function parseAdapters(
  files: readonly string[] | undefined,
  scales: readonly string[] = [],
): AdapterFile[] | undefined {
  const adapters = new Map<string, AdapterFile>();
  for (const text of files ?? []) {
    const [name, path] = pair('lora', text, 'PATH');
    if (!/^[\w.-]{1,64}$/.test(name)) {
      throw new UsageError(`--lora: a name has letters, digits, "_", "-" and "." only, not "${name}"`);
    }
    if (adapters.has(name)) throw new UsageError(`--lora: there are two adapters ${name}`);
    adapters.set(name, { name, path });
  }
  for (const text of scales) {
    const [name, value] = pair('lora-scale', text, 'N');
    const adapter = adapters.get(name);
    if (!adapter) throw new UsageError(`--lora-scale: there is no --lora ${name}=PATH`);
    const scale = Number(value);
    if (!Number.isFinite(scale) || scale === 0) {
      throw new UsageError(`--lora-scale takes a number other than 0, not "${value}"`);
    }
    adapter.scale = scale;
  }
  return adapters.size > 0 ? [...adapters.values()] : undefined;
}

function pair(option: string, text: string, what: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new UsageError(`--${option} takes NAME=${what}, not "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}
