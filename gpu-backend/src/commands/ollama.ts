import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { FileToolError } from '../files/errors.ts';
import { modelfile } from '../files/modelfile.ts';
import { writeFully, writeOutputFile } from '../files/output-file.ts';
import { readHeader } from '../gguf/header.ts';
import { findMarkers } from '../gguf/markers.ts';
import { type Command, UsageError } from './command.ts';

const help = `Usage: huozi-gpu-backend ollama MODEL.gguf [options]

Writes a Modelfile, with which Ollama serves the model with Huozi's template, stops
and sampling: ollama create huozi -f Modelfile

  --out FILE    where to (default: Modelfile); - prints it
  --force       replace FILE if it exists
  -h, --help    this text
`;

export const ollama: Command = {
  summary: 'a Modelfile for Ollama',
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        out: { type: 'string', default: 'Modelfile' },
        force: { type: 'boolean', default: false },
      },
    });
    const [model, ...more] = positionals;
    if (!model || more.length > 0) throw new UsageError('ollama takes one GGUF file');
    const header = await readHeader(model);
    if (findMarkers(header).includes(undefined)) {
      throw new FileToolError(model, "lacks Huozi's markers, so that its template would mean nothing to it");
    }
    if (values.out === '-') {
      process.stdout.write(modelfile(fromFolder(process.cwd(), model)));
      return;
    }
    const text = modelfile(fromFolder(dirname(resolve(values.out)), model));
    await writeOutputFile(values.out, values.force, (handle) => writeFully(handle, Buffer.from(text)));
    process.stdout.write(`${values.out}: ollama create huozi -f ${values.out}\n`);
  },
};

/** Ollama reads a path in a Modelfile from the Modelfile's folder. */
function fromFolder(folder: string, model: string): string {
  const path = relative(folder, resolve(model));
  if (isAbsolute(path)) return path;
  const slashed = path.split(sep).join('/');
  return slashed.startsWith('../') ? slashed : `./${slashed}`;
}
