/** `docs/api.md`: the OpenAPI document as Markdown, for who reads the repository and not a running edge's `/docs`. */
import { type Described, openApiDocument } from '../../src/openapi/document.ts';
import { type JsonSchema, onlyIdle } from '../../src/openapi/json-schema.ts';

type Row = [name: string, required: boolean, schema: JsonSchema];

const sections: Record<string, string> = {
  API: 'Who has a key · 持有密钥者',
  admin: 'Who has `ADMIN_TOKEN` · 管理员',
  node: 'Nodes · 节点',
  anybody: 'Anybody · 任何人',
};

const authorization: Record<string, string> = {
  key: 'authorization: Bearer $HUOZI_API_KEY',
  admin: 'authorization: Bearer $ADMIN_TOKEN',
  node: 'x-huozi-signature: …',
};

export function apiPage(): string {
  const { info, paths, components } = openApiDocument();
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
  const parts = [
    '# API reference · 接口参考',
    '<!-- Made of the OpenAPI document by `npm run docs`; a test says when it is out of date. -->',
    info.description,
    'A running edge shows the same at `/docs`, and as OpenAPI 3.1 at `/openapi.json`. · 运行中的网关在 `/docs` 与 `/openapi.json` 提供同样的内容。',
  ];
  for (const [tag, title] of Object.entries(sections)) {
    parts.push(`## ${title}`);
    for (const { method, path, operation } of all) {
      if (operation.tags.includes(tag)) parts.push(...operationParts(method.toUpperCase(), path, operation));
    }
  }
  parts.push('## Schemas · 数据结构');
  for (const [name, schema] of Object.entries(components.schemas)) {
    parts.push(`### ${name}`, ...schemaParts(schema));
  }
  return `${parts.join('\n\n')}\n`;
}

function operationParts(method: string, path: string, operation: Described): string[] {
  const body = operation.requestBody?.content['application/json'];
  const parts = [`### ${method} ${path}`, operation.summary];
  const { parameters } = operation;
  if (parameters) {
    const rows = parameters.map(
      ({ name, required, schema, description }): Row => [
        name,
        required,
        { ...schema, ...(description !== undefined && { description }) },
      ],
    );
    parts.push('Parameters · 参数', table(rows));
  }
  if (body) parts.push('Body · 请求体', ...bodyParts(body.schema));
  const header = authorization[Object.keys(operation.security[0] ?? {})[0] ?? ''];
  parts.push(`\`\`\`http\n${request(method, path, header, body?.example)}\n\`\`\``);
  for (const [status, response] of Object.entries(operation.responses)) {
    if ('$ref' in response) continue;
    const { content, description } = response as {
      content: Record<string, { schema: JsonSchema }>;
      description: string;
    };
    const types = Object.entries(content).map(([type, { schema }]) => `${typeOf(schema)} as \`${type}\``);
    parts.push(`**${status}**: ${types.join(', or ')}. ${description}`);
  }
  return parts;
}

function request(method: string, path: string, header: string | undefined, example: object | undefined) {
  const lines = [`${method} ${path} HTTP/1.1`];
  if (header) lines.push(header);
  if (example) lines.push('content-type: application/json', '', JSON.stringify(example));
  return lines.join('\n');
}

function bodyParts(schema: JsonSchema): string[] {
  const some = (schema.anyOf ?? [schema]) as JsonSchema[];
  return some.flatMap((one, at) => (at > 0 ? ['or · 或', ...schemaParts(one)] : schemaParts(one)));
}

/** What is honoured, then what is only known, folded away. */
function schemaParts(schema: JsonSchema): string[] {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>);
  if (properties.length === 0) return [typeOf(schema)];
  const required = (schema.required ?? []) as string[];
  const rows = properties.map(([name, one]): Row => [name, required.includes(name), one]);
  const isIdle = ([, , one]: Row) => String(one.description ?? '').startsWith(onlyIdle);
  const idle = rows.filter(isIdle);
  const parts = [table(rows.filter((row) => !isIdle(row)))];
  if (idle.length > 0) {
    const summary = `Refused unless they ask for nothing · 不支持的字段 (${idle.length})`;
    parts.push(`<details><summary>${summary}</summary>`, table(idle), '</details>');
  }
  return parts;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(([name, required, schema]) => {
    const standard = schema.default === undefined ? '' : ` Default: \`${JSON.stringify(schema.default)}\`.`;
    const note = `${schema.description ?? ''}${standard}`.trim();
    return `| \`${name}\`${required ? ' *' : ''} | ${cell(typeOf(schema))} | ${cell(note)} |`;
  });
  return ['| field (* required · 必填) | type | |', '|---|---|---|', ...lines].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** In a few words; what has a name is linked to. */
function typeOf(schema: JsonSchema): string {
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.split('/').at(-1)!;
    return `[${name}](#${name.toLowerCase()})`;
  }
  const some = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (some) return some.map(typeOf).join(' | ');
  if ('const' in schema) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum)
    return (schema.enum as unknown[]).map((value) => `\`${JSON.stringify(value)}\``).join(' | ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items as JsonSchema)}`;
  if (schema.type === 'object' && schema.properties) {
    const required = (schema.required ?? []) as string[];
    const names = Object.entries(schema.properties as Record<string, JsonSchema>).map(([name, one]) =>
      'const' in one ? `${name}: ${JSON.stringify(one.const)}` : required.includes(name) ? name : `${name}?`,
    );
    return `\`{${names.join(', ')}}\``;
  }
  const type = String(schema.type ?? 'any');
  const { minimum, exclusiveMinimum, maximum } = schema;
  const low = minimum ?? (exclusiveMinimum === undefined ? undefined : `>${exclusiveMinimum}`);
  return low === undefined && maximum === undefined ? type : `${type} ${low ?? ''}…${maximum ?? ''}`;
}
