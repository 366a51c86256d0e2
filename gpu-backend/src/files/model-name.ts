/** What llama.cpp's converter reads out of a model's name: `general.name` and what it finds beside it. */

export interface ModelName {
  name: string;
  organization?: string;
  basename?: string;
  finetune?: string;
  version?: string;
  sizeLabel?: string;
}

type Kind = 'basename' | 'size_label' | 'finetune' | 'version' | 'type';

/**
 * @param id a folder's name or a hub's `organization/name`
 * @param parameters of the whole model: a number in the name that is far from it is not its size
 * @example parseModelName('Chinese-Mixtral-8x7B-v1.0', 46_702_792_704) // { basename: 'Chinese-Mixtral', … }
 */
export function parseModelName(id: string, parameters: number): ModelName {
  if (id.includes(' ')) return { name: title(id) };
  const slash = id.indexOf('/');
  const fullName = id.slice(slash + 1);
  const organization = slash > 0 && !id.startsWith('.') ? id.slice(0, slash) : undefined;
  const parts = fullName
    .split('-')
    .filter((part) => part !== '')
    .map((text, position) => classify(text, position, parameters));

  const numbered = parts.some(({ text, kinds }) => kinds.has('size_label') && /\d/.test(text));
  for (const { text, kinds } of parts) {
    if (numbered && /^\p{L}+$/u.test(text)) kinds.delete('size_label');
  }
  let atStart = true;
  for (const { text, kinds } of parts) {
    if (atStart && ((kinds.size === 0 && /^\p{L}/u.test(text)) || kinds.has('version')))
      kinds.add('basename');
    else {
      atStart = false;
      if (kinds.size === 0) kinds.add('finetune');
    }
  }
  for (const { kinds } of parts.toReversed()) {
    if (!kinds.has('basename') || kinds.size < 2) break;
    kinds.delete('basename');
  }
  const join = (texts: string[]) => texts.join('-') || undefined;
  const of = (kind: Kind) => parts.filter(({ kinds }) => kinds.has(kind)).map(({ text }) => text);
  const sizeLabel = join([...new Set(of('size_label'))]);
  const finetune = join(of('finetune'));
  const version = join(
    parts.filter(({ kinds }) => kinds.has('version') && !kinds.has('basename')).map(({ text }) => text),
  );
  // A lone word says too little to be called a base model.
  const basename = sizeLabel || finetune || version ? join(of('basename')) : undefined;
  const found = { organization: organization && title(organization), basename, finetune, version, sizeLabel };
  return {
    name: title(fullName),
    ...(Object.fromEntries(Object.entries(found).filter(([, value]) => value)) as Omit<ModelName, 'name'>),
  };
}

function classify(text: string, position: number, parameters: number): { text: string; kinds: Set<Kind> } {
  if (/^(v|iter)?\d+([.]\d+)*$/i.test(text)) return { text, kinds: new Set(['version']) };
  if (/^(i?q\d(_\w)*|b?fp?(16|32))$/i.test(text))
    return { text: text.toUpperCase(), kinds: new Set(['type']) };
  if (position === 0) return { text, kinds: new Set() };
  if (/^(([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl)$/i.test(text)) {
    return classifySize(text.replace('_', '.'), parameters);
  }
  return { text, kinds: new Set(/^(chat|instruct|vision|lora)$/i.test(text) ? ['finetune'] : []) };
}

function classifySize(given: string, parameters: number): { text: string; kinds: Set<Kind> } {
  // "7b1" is how Bloom writes 7.1B.
  let text = given.replace(/([a-z])(\d)$/i, '.$2$1');
  if (/\d[kmbt]$/.test(text)) text = text.slice(0, -1) + text.slice(-1).toUpperCase();
  const size = Number(text.slice(0, -1)) * 1000 ** ' KMBT'.indexOf(text.slice(-1));
  if (parameters > 0 && Math.abs(size - parameters) > Math.floor((7 * parameters) / 8)) {
    // A context length, most likely.
    return { text: text.slice(0, -1) + text.slice(-1).toLowerCase(), kinds: new Set(['finetune']) };
  }
  return { text, kinds: new Set(['size_label']) };
}

function title(id: string): string {
  return id
    .replaceAll('-', ' ')
    .trim()
    .split(/\s+/)
    .map((word) => {
      const isLower = word === word.toLowerCase() && word !== word.toUpperCase();
      if (!isLower || /^(v\d+(\.\d+)*|\d.*)$/.test(word)) return word;
      return word.replace(/\p{L}+/gu, (letters) => letters.charAt(0).toUpperCase() + letters.slice(1));
    })
    .join(' ');
}
