import { parseArgs } from 'node:util';
import { hubs } from '../files/hub.ts';
import { formatBytes, Progress } from '../files/progress.ts';
import { pull as pullRepository } from '../files/pull.ts';
import { type Command, UsageError, wholeNumber } from './command.ts';

const help = `Usage: huozi-gpu-backend pull OWNER/NAME [options]

Downloads a model repository, for instance HIT-SCIR/huozi3.5. A run that was cut off
goes on where it ended; every file is compared with the hub's checksum before it gets
its name; what is complete already is left as it is.

  --source HUB     ${Object.keys(hubs).join(' or ')} (default huggingface)
  --mirror URL     another server that speaks the hub's API; it is sent the token, too
  --revision REV   branch, tag or commit (default: main, on ModelScope master)
  --include GLOB   only such files; may be given several times
  --out FOLDER     where to (default: NAME)
  --jobs N         files that are fetched at the same time (default 4)
  --force          replace files that differ from the hub's
  -h, --help       this text

A token, for repositories that need one, is read from the environment: HF_TOKEN or
MODELSCOPE_API_TOKEN.
`;

export const pull: Command = {
  summary: 'download a model from Hugging Face or ModelScope',
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        source: { type: 'string', default: 'huggingface' },
        mirror: { type: 'string' },
        revision: { type: 'string' },
        include: { type: 'string', multiple: true, default: [] },
        out: { type: 'string' },
        jobs: { type: 'string', default: '4' },
        force: { type: 'boolean', default: false },
      },
    });
    const [repo, ...more] = positionals;
    if (!repo || more.length > 0) throw new UsageError('pull takes one repository');
    const name = /^[\w-][\w.-]*\/([\w-][\w.-]*)$/.exec(repo)?.[1];
    if (!name) throw new UsageError(`a repository is OWNER/NAME, not "${repo}"`);
    if (!Object.hasOwn(hubs, values.source)) {
      throw new UsageError(`--source takes ${Object.keys(hubs).join(' or ')}, not "${values.source}"`);
    }
    const source = values.source as keyof typeof hubs;
    const token = process.env[hubs[source].tokenVariable]?.trim();
    const out = values.out ?? name;
    let progress: Progress | undefined;
    try {
      const { files, bytes, kept, unchecked } = await pullRepository({
        source,
        repo,
        out,
        include: values.include,
        force: values.force,
        jobs: wholeNumber('jobs', values.jobs, 1, 32),
        ...(values.mirror === undefined ? {} : { endpoint: mirror(values.mirror) }),
        ...(values.revision === undefined ? {} : { revision: values.revision }),
        ...(token ? { token } : {}),
        onStart: (total, done) => {
          progress = new Progress('pull', total, { done });
        },
        onProgress: (count) => progress?.advance(count),
      });
      progress?.end();
      const notes = [
        ...(kept > 0 ? [`${kept} were here already`] : []),
        ...(unchecked > 0 ? [`${unchecked} compared by size only: the hub tells no checksum`] : []),
      ];
      process.stdout.write(`${[`${out}: ${files} files`, formatBytes(bytes), ...notes].join(', ')}\n`);
    } catch (error) {
      progress?.end();
      throw error;
    }
  },
};

function mirror(text: string): string {
  // URL.parse is younger than the Node that this package still runs on.
  if (!URL.canParse(text) || !/^https?:/.test(text)) {
    throw new UsageError(`--mirror takes an http or https address, not "${text}"`);
  }
  return text.replace(/\/+$/, '');
}
