import { parseArgs } from 'node:util';
import { type GgufHeader, readHeader } from '../gguf/header.ts';
import { findMarkers, markerTexts, namedTokens, type Token } from '../gguf/markers.ts';
import { expertBytes, type Model, readModel } from '../gguf/model.ts';
import { readable } from '../planner/bytes.ts';
import { table } from '../planner/report.ts';
import { kvTypes } from '../planner/types.ts';
import { type Command, UsageError } from './command.ts';

const help = `Usage: huozi-gpu-backend inspect MODEL [options]

Says what a GGUF holds: shape, parameters, experts, quantisation, vocabulary,
Huozi's markers, KV bytes a token. Reads the header only: a file (any shard of
a split one), or an http(s) URL whose server answers range requests.

  --tensors    every tensor with its type, shape and bytes as well
  --json       for programs
  -h, --help   this text
`;

export const inspect: Command = {
  summary: 'what a GGUF file holds',
  help,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { tensors: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    });
    const [uri, ...more] = positionals;
    if (!uri || more.length > 0) throw new UsageError('inspect takes one model, a path or a URL');
    const header = await readHeader(uri);
    const found = describe(header, readModel(header), values.tensors);
    process.stdout.write(values.json ? `${JSON.stringify(found, null, 2)}\n` : text(found));
  },
};

type Description = ReturnType<typeof describe>;

function describe(header: GgufHeader, model: Model, withTensors: boolean) {
  const { metadata, tensors } = header;
  const weights = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const experts = model.layers.reduce((sum, layer) => sum + expertBytes(layer), 0);
  const kvValues = model.layers.length * model.kvHeads * (model.keyLength + model.valueLength);
  const [begin, end] = findMarkers(header);
  return {
    files: header.files.map(({ uri, bytes }) => ({ file: uri, bytes })),
    name: model.name,
    architecture: model.architecture,
    parameters: model.parameters,
    weights_bytes: weights,
    expert_bytes: experts,
    layers: model.layers.length,
    embedding: model.embedding,
    feed_forward: model.feedForward,
    heads: model.heads,
    kv_heads: model.kvHeads,
    experts: model.experts,
    experts_used: model.expertsUsed,
    expert_tensors: tensors.some(({ name }) => name.includes('_exps.')) ? 'stacked' : 'one each',
    context: model.trainedContext,
    rope_freq_base: metadata.get('llama.rope.freq_base') ?? null,
    kv_bytes_per_token: Object.fromEntries(
      Object.entries(kvTypes).map(([type, bytes]) => [type, kvValues * bytes]),
    ),
    types: mix(tensors),
    vocabulary: model.vocabulary,
    tokenizer: metadata.get('tokenizer.ggml.model') ?? null,
    add_bos: metadata.get('tokenizer.ggml.add_bos_token') ?? null,
    tokens: Object.fromEntries(namedTokens(header)),
    markers: { begin: begin ?? null, end: end ?? null },
    ...(withTensors && {
      tensors: tensors.map(({ name, type, shape, bytes }) => ({ name, type: type.name, shape, bytes })),
    }),
  };
}

/** Tensors and bytes by type, most bytes first. */
function mix(tensors: GgufHeader['tensors']) {
  const types = new Map<string, { tensors: number; bytes: number }>();
  for (const { type, bytes } of tensors) {
    const entry = types.get(type.name) ?? { tensors: 0, bytes: 0 };
    types.set(type.name, { tensors: entry.tensors + 1, bytes: entry.bytes + bytes });
  }
  return Object.fromEntries([...types].toSorted(([, a], [, b]) => b.bytes - a.bytes));
}

function text(found: Description): string {
  const billions = (n: number) => (n < 1e9 ? `${(n / 1e6).toFixed(1)} M` : `${(n / 1e9).toFixed(1)} B`);
  const bits = (8 * found.weights_bytes) / found.parameters.total;
  const rows = [
    ['file', found.files.map(({ file }) => file).join(', ')],
    ['name', found.name],
    [
      'parameters',
      `${billions(found.parameters.total)}, ${billions(found.parameters.active)} active (${found.architecture})`,
    ],
    [
      'weights',
      `${readable(found.weights_bytes)}, experts ${readable(found.expert_bytes)}; ${bits.toFixed(2)} bits each`,
    ],
    [
      'types',
      Object.entries(found.types)
        .map(([type, { bytes }]) => `${type} ${readable(bytes)}`)
        .join(', '),
    ],
    [
      'layers',
      `${found.layers}: embedding ${found.embedding}, ${found.heads} heads, ${found.kv_heads} KV heads`,
    ],
    [
      'experts',
      `${found.experts}, ${found.experts_used} used, feed-forward ${found.feed_forward}, ${found.expert_tensors}`,
    ],
    ['context', `${found.context} tokens, RoPE base ${found.rope_freq_base ?? 'not said'}`],
    [
      'KV a token',
      Object.entries(found.kv_bytes_per_token)
        .map(([type, bytes]) => `${type} ${bytes} bytes`)
        .join(', '),
    ],
    ['vocabulary', `${found.vocabulary} (${found.tokenizer}), BOS added: ${found.add_bos ?? 'not said'}`],
    [
      'tokens',
      Object.entries(found.tokens)
        .map(([name, token]) => `${name} ${shown(token)}`)
        .join(', '),
    ],
    [
      'markers',
      Object.values(found.markers)
        .map((token, i) => shown(token, markerTexts[i]))
        .join(', '),
    ],
  ];
  const tensors = found.tensors?.map(({ name, type, shape, bytes }) => [
    name,
    type,
    shape.join(' × '),
    String(bytes),
  ]);
  return [
    ...rows.map(([name, value]) => `${name?.padEnd(12)}${value}`),
    ...(tensors ? ['', table([['tensor', 'type', 'shape', 'bytes'], ...tensors])] : []),
    '',
  ].join('\n');
}

function shown(token: Token | null, text = token?.text): string {
  return token ? `${token.text} = ${token.id} (${token.type})` : `${text} is missing`;
}
