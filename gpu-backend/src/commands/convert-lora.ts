import { parseArgs } from 'node:util';
import { convertLora as convertFolder } from '../files/convert-lora.ts';
import { type Command, UsageError } from './command.ts';

const help = `Usage: huozi-gpu-backend convert-lora FOLDER OUT.gguf --base MODEL.gguf [options]

Makes a LoRA adapter that llama.cpp takes of the folder that PEFT saved:
adapter_config.json and adapter_model.safetensors, of attention, routers, experts,
embedding and output. serve --lora NAME=FOLDER does the same by itself.

  --base FILE   the model that it is for; only its header is read
  --force       replace OUT.gguf if it exists
  -h, --help    this text
`;

export const convertLora: Command = {
  summary: 'a PEFT adapter to GGUF',
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { base: { type: 'string' }, force: { type: 'boolean', default: false } },
    });
    const [folder, out, ...more] = positionals;
    if (!folder || !out || more.length > 0) {
      throw new UsageError('convert-lora takes a folder and a file to write');
    }
    if (values.base === undefined)
      throw new UsageError('convert-lora needs --base, the GGUF file of its model');
    const adapted = await convertFolder({ folder, out, base: values.base, force: values.force });
    process.stdout.write(`${out}: ${adapted} matrices adapted\n`);
  },
};
