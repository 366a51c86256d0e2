/** What llama.cpp's log says of the memory that it took, and of what it could not do. */
import { listenToLog } from './log.ts';

export interface Buffer {
  /** ggml's name of the buffer type, such as `CUDA0` or `CPU_REPACK`. */
  name: string;
  holds: 'weights' | 'kv' | 'compute' | 'output';
  /** Bytes, logged in hundredths of a MiB. */
  bytes: number;
}

export interface BufferReport {
  buffers: Buffer[];
  /** Tensors that an override put elsewhere. */
  overridden: number;
  /** Lines an operator should see, such as memory that could not be locked. */
  warnings: string[];
}

const bufferLine = /(\S+) +(model|KV|compute|output) buffer size = +([\d.]+) MiB/;
const holds = { model: 'weights', KV: 'kv', compute: 'compute', output: 'output' } as const;

/** Gathers from the log until `stop`. */
export function reportBuffers(): { report: BufferReport; stop: () => void } {
  const report: BufferReport = { buffers: [], overridden: 0, warnings: [] };
  const stop = listenToLog((line) => {
    const [, name, kind, size] = bufferLine.exec(line) ?? [];
    if (name) {
      const bytes = Math.round(Number(size) * 2 ** 20);
      // What is mapped in two pieces is logged twice.
      report.buffers.push({ name, holds: holds[kind as keyof typeof holds], bytes });
    } else if (line.includes('buffer type overridden to')) {
      report.overridden++;
    } else if (line.includes('failed to mlock') || line.includes('mlock not supported')) {
      const warning =
        line
          .trim()
          .split('\n')[0]
          ?.replace(/^warning: /, '') ?? '';
      if (!report.warnings.includes(warning)) report.warnings.push(warning);
    }
  });
  return { report, stop };
}
