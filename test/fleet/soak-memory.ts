/** Memory of processes that live through a soak, and whether it grows. Linux alone: it reads `/proc`. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Growth {
  /**
   * MiB: the least in each quarter of the time. A heap grows until it is collected, so that a moment or a slope says
   * nothing: what leaks raises the floor.
   */
  floors: number[];
  /**
   * From the third quarter's floor to the last one's, MiB a minute: what workerd's allocator has once had it keeps, so
   * that the most that was ever wanted at once rises for a quarter of an hour, more slowly all the time.
   */
  growth: number;
}

/** MiB a minute that may be. */
export const mostGrowth = 1;
/** Caches, compiled code and heaps fill for half of that; what is shorter is told and not judged. */
export const judgedMinutes = 30;

export class MemoryWatch {
  readonly #processes: Record<string, () => number>;
  readonly #samples: { at: number; mib: Record<string, number> }[] = [];

  /** @param processes each gives its MiB now */
  constructor(processes: Record<string, () => number>) {
    this.#processes = processes;
  }

  /** MiB now, which are not judged. */
  look(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.#processes).map(([name, read]) => [name, Math.round(read() * 10) / 10]),
    );
  }

  sample(): void {
    this.#samples.push({ at: Date.now() / 60_000, mib: this.look() });
  }

  get growth(): Record<string, Growth> {
    const samples = this.#samples;
    const minutes = samples.at(-1)!.at - samples[0]!.at;
    return Object.fromEntries(
      Object.keys(this.#processes).map((name) => {
        const floors = [0, 1, 2, 3].map((quarter) => {
          const from = Math.floor((quarter * samples.length) / 4);
          const upTo = Math.ceil(((quarter + 1) * samples.length) / 4);
          return Math.min(...samples.slice(from, upTo).map(({ mib }) => mib[name]!));
        });
        const growth = (floors[3]! - floors[2]!) / (minutes / 4);
        return [name, { floors, growth: Number(growth.toFixed(2)) }];
      }),
    );
  }
}

interface Process {
  pid: number;
  parent: number;
  name: string;
  mib: number;
}

/** Of `root` and its children, those that `which` names. */
export function residentMiB(root: number, which: (process: Process) => boolean): number {
  return descendants(root)
    .filter(which)
    .reduce((sum, { mib }) => sum + mib, 0);
}

function descendants(root: number): Process[] {
  const all = readProcesses();
  const isOurs = (pid: number): boolean => pid === root || (all.has(pid) && isOurs(all.get(pid)!.parent));
  return [...all.values()].filter(({ pid }) => isOurs(pid));
}

/**
 * Durable Objects that workerd holds: each has its SQLite file open. An idle one takes some 200 KiB until it is dropped,
 * half a minute after its last use, so that the process is larger where more is asked.
 */
export function heldObjects(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).endsWith('.sqlite');
    } catch {
      // Closed meanwhile.
      return false;
    }
  }).length;
}

/** Of `root` and its children, the first of that name. */
export function processOf(root: number, name: string): number {
  return descendants(root).find((process) => process.name === name)!.pid;
}

function readProcesses(): Map<number, Process> {
  const found = new Map<number, Process>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const end = stat.lastIndexOf(')');
      const fields = stat.slice(end + 2).split(' ');
      const name = stat.slice(stat.indexOf('(') + 1, end);
      const mib = (Number(fields[21]) * 4096) / 2 ** 20;
      found.set(Number(entry), { pid: Number(entry), parent: Number(fields[1]), name, mib });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
