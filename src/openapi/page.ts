/** The document as a page: HTML alone, so that its policy can forbid every script. */
import { html } from 'hono/html';
import type { Described, OpenApiDocument } from './document.ts';
import { type JsonSchema, onlyIdle } from './json-schema.ts';

type Html = ReturnType<typeof html>;

export function page(document: OpenApiDocument, origin: string): Html {
  const { info, paths, components } = document;
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
  const sections = ['API', 'admin', 'node', 'anybody'].map((tag) => ({
    title: titles[tag]!,
    operations: all.filter(({ operation }) => operation.tags.includes(tag)),
  }));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${info.title}</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<nav>
<a class="home" href="#top">${info.title}</a>
${sections.map(
  ({ title, operations }) => html`<h2>${title}</h2>
${operations.map(({ method, path }) => html`<a href="#${anchor(method, path)}">${badge(method)} ${path}</a>`)}`,
)}
<h2>Schemas · 数据结构</h2>
${Object.keys(components.schemas).map((name) => html`<a href="#${name}">${name}</a>`)}
</nav>
<main id="top">
<h1>${info.title} <small>${info.version}</small></h1>
${info.description.split('\n\n').map((paragraph) => html`<p>${paragraph}</p>`)}
<p><a href="/openapi.json">openapi.json</a> · <code>${origin}</code></p>
${sections.map(({ operations }) => operations.map((one) => section(one, origin)))}
<h1>Schemas · 数据结构</h1>
${Object.entries(components.schemas).map(
  ([name, schema]) => html`<section id="${name}"><h3>${name}</h3>${schemaTable(schema)}</section>`,
)}
</main>
</body>
</html>`;
}

const titles: Record<string, string> = {
  API: 'API · 接口',
  admin: 'Admin · 管理',
  node: 'Nodes · 节点',
  anybody: 'Open · 公开',
};

const authentication: Record<string, string> = {
  key: 'authorization: Bearer $HUOZI_API_KEY',
  admin: 'authorization: Bearer $ADMIN_TOKEN',
  node: 'x-huozi-signature: …',
};

function section(
  { method, path, operation }: { method: string; path: string; operation: Described },
  origin: string,
): Html {
  const [english, chinese] = operation.summary.split(' · ');
  const body = operation.requestBody?.content['application/json'];
  const header = authentication[Object.keys(operation.security[0] ?? {})[0] ?? ''];
  return html`<section id="${anchor(method, path)}">
<h3>${badge(method)} <code>${path}</code></h3>
<p>${english} <span lang="zh">${chinese}</span></p>
${operation.parameters ? html`<h4>Parameters · 参数</h4>${parameterTable(operation.parameters)}` : ''}
${body ? html`<h4>Body · 请求体</h4>${bodyTables(body.schema)}` : ''}
<h4>Example · 示例</h4>
<pre>${curl(method, origin + path, header, body?.example)}</pre>
<h4>Answers · 响应</h4>
<table>${Object.entries(operation.responses).map(([status, response]) => answerRow(status, response))}</table>
</section>`;
}

function curl(method: string, url: string, header: string | undefined, example: object | undefined): string {
  const lines = [`curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}${url}`];
  if (header) lines.push(`-H "${header}"`);
  if (example) lines.push(`-H 'content-type: application/json'`, `-d '${JSON.stringify(example)}'`);
  return lines.join(' \\\n  ');
}

function answerRow(status: string, response: object): Html {
  if ('$ref' in response) {
    return html`<tr><th>${status}</th><td>${link('Error')}</td><td>OpenAI's shape; see Error. · 统一的错误格式。</td></tr>`;
  }
  const { content, description } = response as {
    content: Record<string, { schema: JsonSchema }>;
    description: string;
  };
  const types = Object.entries(content).map(
    ([type, { schema }]) => html`<div>${typeOf(schema)} <small>${type}</small></div>`,
  );
  return html`<tr><th>${status}</th><td>${types}</td><td>${description}</td></tr>`;
}

function parameterTable(parameters: NonNullable<Described['parameters']>): Html {
  return html`<table>${parameters.map(({ name, required, schema, description }) => row(name, required, { ...schema, description }))}</table>`;
}

function bodyTables(schema: JsonSchema): Html | Html[] {
  const some = schema.anyOf as JsonSchema[] | undefined;
  if (!some) return schemaTable(schema);
  return some.map((one, at) => html`${at > 0 ? html`<p>or · 或</p>` : ''}${schemaTable(one)}`);
}

/** What is honoured first; what is only known folds away. */
function schemaTable(schema: JsonSchema): Html {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>);
  if (properties.length === 0) return html`<p>${typeOf(schema)}</p>`;
  const required = (schema.required ?? []) as string[];
  const rows = (some: typeof properties) =>
    some.map(([name, one]) => row(name, required.includes(name), one));
  const isIdle = ([, one]: (typeof properties)[number]) => String(one.description ?? '').startsWith(onlyIdle);
  const idle = properties.filter(isIdle);
  return html`<table>${rows(properties.filter((one) => !isIdle(one)))}</table>
${idle.length > 0 ? html`<details><summary>Refused unless they ask for nothing · 不支持的字段</summary><table>${rows(idle)}</table></details>` : ''}`;
}

function row(name: string, required: boolean, schema: JsonSchema): Html {
  const { description, default: standard } = schema;
  return html`<tr><th>${name}${required ? html`<b title="required · 必填">*</b>` : ''}</th><td>${typeOf(schema)}</td><td>${description ?? ''}
${standard === undefined ? '' : html`<code>= ${JSON.stringify(standard)}</code>`}</td></tr>`;
}

/** In a few words; what has a name is linked to. */
function typeOf(schema: JsonSchema): Html | string {
  if (typeof schema.$ref === 'string') return link(schema.$ref.split('/').at(-1)!);
  const some = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (some) return html`${some.map((one, at) => html`${at > 0 ? ' | ' : ''}${typeOf(one)}`)}`;
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return (schema.enum as unknown[]).map((value) => JSON.stringify(value)).join(' | ');
  if (schema.type === 'array') return html`list of ${typeOf(schema.items as JsonSchema)}`;
  if (schema.type === 'object' && schema.properties) {
    const required = (schema.required ?? []) as string[];
    const names = Object.entries(schema.properties as Record<string, JsonSchema>).map(([name, one]) => {
      if ('const' in one) return `${name}: ${JSON.stringify(one.const)}`;
      return required.includes(name) ? name : `${name}?`;
    });
    return `{${names.join(', ')}}`;
  }
  const type = String(schema.type ?? 'any');
  const low =
    schema.minimum ?? (schema.exclusiveMinimum !== undefined ? `>${schema.exclusiveMinimum}` : undefined);
  const high = schema.maximum;
  return low === undefined && high === undefined ? type : `${type} ${low ?? ''}…${high ?? ''}`;
}

function link(name: string): Html {
  return html`<a href="#${name}">${name}</a>`;
}

function badge(method: string): Html {
  return html`<i class="${method}">${method.toUpperCase()}</i>`;
}

function anchor(method: string, path: string): string {
  return `${method}${path.replace(/[^\w]+/g, '-')}`;
}

export const style = `:root{color-scheme:light dark;--line:light-dark(#ddd,#333);--dim:light-dark(#666,#999);--back:light-dark(#f6f6f4,#1b1b1d)}
*{box-sizing:border-box}
body{margin:0;display:flex;font:15px/1.6 system-ui,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
nav{position:sticky;top:0;height:100vh;overflow:auto;width:20rem;flex:none;padding:1rem;background:var(--back);border-right:1px solid var(--line);font-size:13px}
nav a{display:block;padding:.15rem 0;color:inherit;text-decoration:none;overflow-wrap:anywhere}
nav a:hover{text-decoration:underline}
nav h2{font-size:12px;color:var(--dim);margin:1.2rem 0 .3rem}
.home{font-weight:700;font-size:16px}
main{flex:1;min-width:0;max-width:62rem;padding:1rem 2rem 6rem}
section{border-top:1px solid var(--line);padding:1rem 0}
h3{margin:.2rem 0;font-size:17px}
h4{margin:1rem 0 .3rem;font-size:13px;color:var(--dim)}
table{border-collapse:collapse;width:100%;font-size:13px}
td,th{border-top:1px solid var(--line);padding:.35rem .6rem .35rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{width:13rem;font-family:ui-monospace,monospace;font-weight:600}
td:nth-child(2){width:17rem;color:var(--dim);font-family:ui-monospace,monospace;font-size:12px}
b{color:#c33}
small,span[lang]{color:var(--dim)}
code,pre{font:13px/1.5 ui-monospace,monospace}
pre{background:var(--back);padding:.8rem;border-radius:6px;overflow:auto}
summary{color:var(--dim);font-size:13px;padding:.4rem 0;cursor:pointer}
i{font:700 11px ui-monospace,monospace;color:#fff;background:#57606a;border-radius:4px;padding:.1rem .35rem}
.get{background:#1a7f37}.post{background:#0969da}.delete{background:#cf222e}.patch{background:#9a6700}
@media(max-width:50rem){body{display:block}nav{position:static;width:auto;height:auto;max-height:16rem}main{padding:1rem}th{width:auto}td:nth-child(2){width:auto}}
`;
