/** `huozi keys`: who may use the edge, and how much. */
import { adminOf } from './admin.ts';
import { clientOptions, numberOf, parse } from './client.ts';
import { say, table, UsageError } from './terminal.ts';

export const help = `huozi keys list                      huozi keys show ID
huozi keys create NAME [settings]    prints the key, once
huozi keys update ID [settings] [--name NAME]
huozi keys rotate ID [--overlap SECONDS]    a new key; the old one opens so long
huozi keys revoke ID

Settings: --rpm N, --tpm N (per minute), --concurrent N, --tokens-per-day N, --tokens-per-month N,
  --models a,b   --scopes inference,models,usage   --expires 2027-01-01   (update: "none" takes one away)
  --base-url URL   --json`;

interface Key {
  id: string;
  name: string;
  key?: string;
  limits: Record<string, number>;
  models: string[] | null;
  scopes: string[] | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

const limits = {
  rpm: 'requests_per_minute',
  tpm: 'tokens_per_minute',
  concurrent: 'concurrent',
  'tokens-per-day': 'tokens_per_day',
  'tokens-per-month': 'tokens_per_month',
} as const;

const options = {
  ...clientOptions,
  name: { type: 'string' },
  rpm: { type: 'string' },
  tpm: { type: 'string' },
  concurrent: { type: 'string' },
  'tokens-per-day': { type: 'string' },
  'tokens-per-month': { type: 'string' },
  models: { type: 'string' },
  scopes: { type: 'string' },
  expires: { type: 'string' },
  overlap: { type: 'string' },
} as const;

type Values = ReturnType<typeof parse<typeof options>>['values'];

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, options);
  const [verb, subject, ...more] = positionals;
  const isKnown = verb !== undefined && /^(create|list|show|update|rotate|revoke)$/.test(verb);
  if (!isKnown || more.length > 0) throw new UsageError('huozi keys create|list|show|update|rotate|revoke');
  if (verb !== 'list' && !subject)
    throw new UsageError(`huozi keys ${verb} ${verb === 'create' ? 'NAME' : 'ID'}`);
  const ask = adminOf(values);
  const one = `/keys/${encodeURIComponent(subject ?? '')}`;
  const show = (key: Key) => say(values.json ? JSON.stringify(key) : shown(key));

  switch (verb) {
    case 'list': {
      const keys: Key[] = [];
      for (let after = ''; ; ) {
        const page = await ask<{ data: Key[]; has_more: boolean }>('GET', `/keys?limit=100${after}`);
        keys.push(...page.data);
        if (!page.has_more) break;
        after = `&after=${encodeURIComponent(page.data.at(-1)!.id)}`;
      }
      if (values.json) for (const key of keys) say(JSON.stringify(key));
      else {
        const rows = keys.map((key) => [key.id, key.name, stateOf(key), limitsOf(key), day(key.created_at)]);
        say(table(['id', 'name', 'state', 'limits', 'made'], rows));
      }
      break;
    }
    case 'create': {
      const key = await ask<Key>('POST', '/keys', { name: subject, ...settingsOf(values) });
      show(key);
      break;
    }
    case 'show':
      show(await ask<Key>('GET', one));
      break;
    case 'update': {
      const change = { ...(values.name && { name: values.name }), ...settingsOf(values) };
      if (Object.keys(change).length === 0) throw new UsageError('What shall change? See huozi keys --help');
      show(await ask<Key>('PATCH', one, change));
      break;
    }
    case 'rotate': {
      const overlap_seconds = numberOf('--overlap', values.overlap ?? '0');
      show(await ask<Key>('POST', `${one}/rotate`, { overlap_seconds }));
      break;
    }
    case 'revoke':
      show(await ask<Key>('DELETE', one));
  }
  return 0;
}

function settingsOf(values: Values): object {
  const settings: Record<string, unknown> = {};
  const list = (text: string) => (text === 'none' ? null : text.split(',').map((part) => part.trim()));
  const limit: Record<string, number | null> = {};
  for (const [option, name] of Object.entries(limits)) {
    const value = values[option as keyof typeof limits];
    if (value !== undefined) limit[name] = value === 'none' ? null : numberOf(`--${option}`, value);
  }
  if (Object.keys(limit).length > 0) settings.limits = limit;
  if (values.models !== undefined) settings.models = list(values.models);
  if (values.scopes !== undefined) settings.scopes = list(values.scopes);
  if (values.expires !== undefined) settings.expires_at = values.expires === 'none' ? null : values.expires;
  return settings;
}

const day = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 10);

function stateOf({ revoked_at, expires_at }: Key): string {
  if (revoked_at !== null) return `revoked ${day(revoked_at)}`;
  if (expires_at === null) return 'open';
  return expires_at * 1000 <= Date.now() ? `expired ${day(expires_at)}` : `until ${day(expires_at)}`;
}

function limitsOf({ limits: set }: Key): string {
  const told = Object.entries(limits).flatMap(([option, name]) =>
    set[name] === undefined ? [] : [`${option} ${set[name]}`],
  );
  return told.join(', ') || 'none';
}

function shown(key: Key): string {
  const rows = [
    ['id', key.id],
    ['name', key.name],
    ['state', stateOf(key)],
    ['limits', limitsOf(key)],
    ['models', key.models?.join(', ') ?? 'all'],
    ['scopes', key.scopes?.join(', ') ?? 'all'],
  ];
  const lines = table(['key', key.key ?? '(shown only when it was made)'], rows);
  return lines;
}
