import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type FileType,
  fileTypes,
  quantize as quantizeModel,
  type TensorTypeOverride,
} from '../engine/quantize.ts';
import { FileToolError } from '../files/errors.ts';
import { writeNamedFile } from '../files/output-file.ts';
import { formatBytes, Progress } from '../files/progress.ts';
import { ggmlTypeId } from '../gguf/ggml-types.ts';
import { type Command, UsageError, wholeNumber } from './command.ts';

const typeNames = Object.keys(fileTypes);

const help = `Usage: huozi-gpu-backend quantize IN.gguf OUT.gguf TYPE [options]

Writes a model with smaller weights, by llama.cpp's own llama_model_quantize. TYPE is
one of its names, in any case:

${wrap(typeNames, 82)}

q2_k_s, iq3_xs, iq3_xxs, iq2_* and iq1_* need an importance matrix, which this command
does not take: llama.cpp refuses them.

  --override REGEX=TYPE  another type for tensors whose name the regular expression is
                         found in, for instance 'ffn_down_exps=q6_k'; several times
  --threads N            CPU threads (default: as many as there are cores)
  --allow-requantize     take a file that is quantised already; each pass loses precision
  --force                replace OUT.gguf if it exists
  -h, --help             this text
`;

export const quantize: Command = {
  summary: 'smaller weights, by llama.cpp',
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        override: { type: 'string', multiple: true, default: [] },
        threads: { type: 'string' },
        'allow-requantize': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
      },
    });
    const [input, output, typeName, ...more] = positionals;
    if (!input || !output || !typeName || more.length > 0) {
      throw new UsageError('quantize takes a file, a file to write, and a type');
    }
    const type = typeName.toUpperCase();
    if (!typeNames.includes(type)) throw new UsageError(`there is no type "${typeName}"`);
    const overrides = values.override.map(parseOverride);
    const threads =
      values.threads === undefined ? {} : { threads: wholeNumber('threads', values.threads, 1, 512) };
    const before = await sizeOf(input);
    await sizeOf(dirname(output));

    let progress: Progress | undefined;
    let reached = 0;
    try {
      await writeNamedFile(output, values.force, (temporary) =>
        quantizeModel(input, temporary, {
          type: type as FileType,
          allowRequantize: values['allow-requantize'],
          overrides,
          ...threads,
          onTensor: (number, total) => {
            progress ??= new Progress('quantize', total, { unit: 'tensors' });
            progress.advance(number - 1 - reached);
            reached = number - 1;
          },
        }),
      );
      progress?.end();
    } catch (error) {
      progress?.end();
      throw error;
    }
    const after = await sizeOf(output);
    process.stdout.write(`${output}: ${formatBytes(after)} (${input}: ${formatBytes(before)}), ${type}\n`);
  },
};

function parseOverride(text: string): TensorTypeOverride {
  const [, pattern, name] = /^(.+)=(\w+)$/.exec(text) ?? [];
  if (!pattern || !name) throw new UsageError(`--override takes REGEX=TYPE, not "${text}"`);
  const type = name.toUpperCase();
  try {
    new RegExp(pattern);
    ggmlTypeId(type);
  } catch (error) {
    throw new UsageError(`--override ${text}: ${(error as Error).message}`);
  }
  return { pattern, type };
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new FileToolError(path, 'no such file or folder');
  return found.size;
}

function wrap(words: readonly string[], width: number): string {
  const lines = [' '];
  for (const word of words) {
    if (lines.at(-1)!.length + 1 + word.length > width) lines.push(' ');
    lines.push(`${lines.pop()} ${word.toLowerCase()}`);
  }
  return lines.join('\n');
}
