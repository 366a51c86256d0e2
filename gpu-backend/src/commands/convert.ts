import { parseArgs } from 'node:util';
import { convert as convertFolder } from '../files/convert.ts';
import { formatBytes, Progress } from '../files/progress.ts';
import { type Command, UsageError } from './command.ts';

const types = { f16: 'F16', f32: 'F32', bf16: 'BF16', q8_0: 'Q8_0' } as const;

const help = `Usage: huozi-gpu-backend convert FOLDER OUT.gguf [options]

Makes one GGUF file of a Hugging Face folder of Mixtral weights: config.json,
safetensors shards, tokenizer.model, added_tokens.json. The result is what
llama.cpp's convert_hf_to_gguf.py makes, byte for byte, except that nothing is
taken from the model card (README.md). Memory does not grow with the model.

  --type TYPE   ${Object.keys(types).join(', ')} (default f16); norms and routers stay f32
  --force       replace OUT.gguf if it exists
  -h, --help    this text
`;

export const convert: Command = {
  summary: 'Hugging Face safetensors to GGUF',
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { type: { type: 'string', default: 'f16' }, force: { type: 'boolean', default: false } },
    });
    const [folder, out, ...more] = positionals;
    if (!folder || !out || more.length > 0)
      throw new UsageError('convert takes a folder and a file to write');
    if (!Object.hasOwn(types, values.type)) {
      throw new UsageError(`--type takes ${Object.keys(types).join(', ')}, not "${values.type}"`);
    }
    const type = types[values.type as keyof typeof types];
    let progress: Progress | undefined;
    try {
      const { tensors, bytes, warnings } = await convertFolder({
        folder,
        out,
        type,
        force: values.force,
        onStart: (total) => {
          progress = new Progress('convert', total);
        },
        onProgress: (done) => progress?.advance(done),
      });
      progress?.end();
      for (const warning of warnings) process.stderr.write(`${warning}\n`);
      process.stdout.write(`${out}: ${tensors} tensors, ${formatBytes(bytes)}, ${type}\n`);
    } catch (error) {
      progress?.end();
      throw error;
    }
  },
};
