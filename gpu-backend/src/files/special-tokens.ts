/** Which token begins, ends and pads, and whether a tokenizer adds it, as gguf-py's SpecialVocab finds out. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Metadata } from './gguf-header.ts';
import { readJsonFile, readOptionalJsonFile } from './json-file.ts';

/** `null`: looked at by the converter, but GGUF has no key for it. */
const idKeys: Record<string, string | null> = {
  bos: 'tokenizer.ggml.bos_token_id',
  eos: 'tokenizer.ggml.eos_token_id',
  unk: 'tokenizer.ggml.unknown_token_id',
  sep: 'tokenizer.ggml.seperator_token_id',
  pad: 'tokenizer.ggml.padding_token_id',
  cls: null,
  mask: 'tokenizer.ggml.mask_token_id',
  eot: 'tokenizer.ggml.eot_token_id',
};
const addKeys: Record<string, string> = {
  bos: 'tokenizer.ggml.add_bos_token',
  eos: 'tokenizer.ggml.add_eos_token',
  sep: 'tokenizer.ggml.add_sep_token',
};

const templatePart = z.looseObject({
  SpecialToken: z.optional(z.looseObject({ id: z.string() })),
  Sequence: z.optional(z.looseObject({ id: z.string() })),
});
const processor = z.looseObject({
  type: z.string(),
  single: z.optional(z.array(templatePart)),
  pair: z.optional(z.array(templatePart)),
});
const tokenizerJson = z.looseObject({
  added_tokens: z.optional(z.array(z.looseObject({ id: z.int(), content: z.string() }))),
  post_processor: z.nullish(z.looseObject({ processors: z.optional(z.array(processor)) })),
});
const anyObject = z.record(z.string(), z.unknown());

/** Adds what tokenizer.json, tokenizer_config.json and config.json say, the first of them that says it. */
export async function addSpecialTokens(
  folder: string,
  vocabularySize: number,
  metadata: Metadata,
): Promise<void> {
  const tokenizer = await readOptionalJsonFile(join(folder, 'tokenizer.json'), tokenizerJson);
  const config = await readOptionalJsonFile(join(folder, 'tokenizer_config.json'), anyObject);
  const model = await readJsonFile(join(folder, 'config.json'), anyObject);

  const kinds = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'];
  const names = new Map<string, string>();
  for (const kind of kinds) {
    const entry = config?.[`${kind}_token`];
    const content = typeof entry === 'object' ? (entry as { content?: unknown } | null)?.content : entry;
    if (typeof content === 'string' && content) names.set(kind, content);
  }
  const adds = new Map<string, boolean>();
  for (const step of postProcessors(tokenizer)) {
    if (step.type === 'TemplateProcessing') readTemplate(step, names, adds, kinds);
  }
  const ids = new Map<string, number>();
  const setId = (kind: string, id: unknown) => {
    if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabularySize && !ids.has(kind)) {
      ids.set(kind, id as number);
    }
  };
  if (config) {
    for (const kind of kinds) {
      const add = config[`add_${kind}_token`];
      if (typeof add === 'boolean') adds.set(kind, add);
      setId(kind, tokenizer?.added_tokens?.find(({ content }) => content === names.get(kind))?.id);
    }
  }
  for (const kind of kinds) setId(kind, model[`${kind}_token_id`]);

  for (const [kind, value] of ids) {
    const key = idKeys[kind];
    if (key) metadata.set(key, { type: 'u32', value });
  }
  for (const [kind, value] of adds) {
    const key = addKeys[kind];
    if (key) metadata.set(key, { type: 'bool', value });
  }
  const template = config && (config.chat_template ?? (await readChatTemplate(folder)));
  if (typeof template === 'string' && template) {
    metadata.set('tokenizer.chat_template', { type: 'string', value: template });
  }
}

function postProcessors(tokenizer: z.infer<typeof tokenizerJson> | undefined) {
  const post = tokenizer?.post_processor;
  if (!post) return [];
  if (post.processors) return post.processors;
  const single = processor.safeParse(post);
  return single.success ? [single.data] : [];
}

/** Which special tokens a template puts before, after and between sequences. */
function readTemplate(
  { single = [], pair = [] }: z.infer<typeof processor>,
  names: Map<string, string>,
  adds: Map<string, boolean>,
  kinds: string[],
): void {
  const special = (part: z.infer<typeof templatePart> | undefined) => part?.SpecialToken?.id;
  const first = single.length > 1 ? special(single[0]) : undefined;
  const last = single.length > 1 ? special(single.at(-1)) : undefined;
  if (first) {
    if (first !== names.get('bos') && first !== names.get('cls')) {
      if (!names.has('bos')) names.set('bos', first);
      if (!names.has('cls')) names.set('cls', first);
    }
    adds.set('bos', first === names.get('bos') || first === names.get('cls'));
  }
  if (last) {
    const eos = names.get('eos');
    if (last !== eos) {
      kinds.push('eot');
      if (eos) names.set('eot', eos);
      names.set('eos', last);
    }
    adds.set('eos', true);
  }
  const inner = pair.slice(
    first && special(pair[0]) === first ? 1 : 0,
    last && special(pair.at(-1)) === last ? -1 : undefined,
  );
  const middle = inner.slice(1, -1);
  if (inner[0]?.Sequence?.id !== 'A' || inner.at(-1)?.Sequence?.id !== 'B' || middle.length === 0) return;
  const separates = (part: z.infer<typeof templatePart> | undefined) => {
    const id = special(part);
    return id !== undefined && (id === names.get('sep') || id === names.get('eos'));
  };
  const add = (separates(middle[0]) && !last) || (middle.length === 2 && separates(middle[1]));
  adds.set('sep', add);
  const eos = names.get('eos');
  if (add && !names.has('sep') && eos) names.set('sep', eos);
}

async function readChatTemplate(folder: string): Promise<unknown> {
  const text = await readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined);
  if (text !== undefined) return text;
  return (await readOptionalJsonFile(join(folder, 'chat_template.json'), anyObject))?.chat_template;
}
