import { parseArgs } from 'node:util';
import { type MergeInput, merge as mergeFolders } from '../files/merge.ts';
import { formatBytes, Progress } from '../files/progress.ts';
import { type Command, UsageError } from './command.ts';

const help = `Usage: huozi-gpu-backend merge A B [C ...] --out FOLDER [options]

Writes the weighted mean of checkpoints of one shape: Hugging Face folders with
safetensors in, one such folder out. Computed in float32, one piece of a tensor at
a time, and rounded to the first checkpoint's element types; shards, config and
tokenizer are the first one's as well.

  --out FOLDER       where the result goes
  --weights W,W,...  one number for each checkpoint; their sum is made 1
                     (default: all the same)
  --force            replace files of the same names if FOLDER exists
  -h, --help         this text
`;

export const merge: Command = {
  summary: 'weighted mean of checkpoints',
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        weights: { type: 'string' },
        force: { type: 'boolean', default: false },
      },
    });
    if (positionals.length < 2) throw new UsageError('merge takes two folders or more');
    if (!values.out) throw new UsageError('merge needs --out FOLDER');
    const inputs = withWeights(positionals, values.weights);
    let progress: Progress | undefined;
    try {
      const { tensors, shards, bytes } = await mergeFolders({
        inputs,
        out: values.out,
        force: values.force,
        onStart: (total) => {
          progress = new Progress('merge', total);
        },
        onProgress: (done) => progress?.advance(done),
      });
      progress?.end();
      process.stdout.write(`${values.out}: ${tensors} tensors in ${shards} files, ${formatBytes(bytes)}\n`);
    } catch (error) {
      progress?.end();
      throw error;
    }
  },
};

function withWeights(folders: readonly string[], text: string | undefined): MergeInput[] {
  if (text === undefined) return folders.map((folder) => ({ folder, weight: 1 }));
  const weights = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (weights.length !== folders.length) {
    throw new UsageError(`--weights has ${weights.length} numbers for ${folders.length} checkpoints`);
  }
  const usable = weights.every((weight) => Number.isFinite(weight) && weight >= 0);
  if (!usable || weights.every((weight) => weight === 0)) {
    throw new UsageError(`--weights takes numbers that are not negative and not all 0, not "${text}"`);
  }
  return folders.map((folder, position) => ({ folder, weight: weights[position]! }));
}
