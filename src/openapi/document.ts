/** The API as an OpenAPI 3.1 document, made of the schemas that validate. Once an isolate. */
import type * as z from 'zod/mini';
import { answers } from './answers.ts';
import { inputSchema, type JsonSchema, ref, string } from './json-schema.ts';
import { type Operation, operations } from './operations.ts';

export interface Described {
  tags: string[];
  summary: string;
  security: Record<string, []>[];
  parameters?: {
    name: string;
    in: 'path' | 'query';
    required: boolean;
    schema: JsonSchema;
    description?: string;
  }[];
  requestBody?: {
    required: boolean;
    content: { 'application/json': { schema: JsonSchema; example?: object } };
  };
  responses: Record<string, object>;
}

export interface OpenApiDocument {
  openapi: string;
  info: { title: string; version: string; description: string };
  paths: Record<string, Record<string, Described>>;
  components: { schemas: Record<string, JsonSchema> } & Record<string, object>;
}

const description = `OpenAI's API in front of Huozi's nodes. Every field that OpenAI documents is honoured, or refused by name. Optional fields of a body may be null, which asks for the default.

兼容 OpenAI 的接口。OpenAI 文档中的每个字段要么生效,要么被点名拒绝;请求体中的可选字段可以为 null,即取默认值。`;

let made: OpenApiDocument | undefined;

export function openApiDocument(): OpenApiDocument {
  made ??= {
    openapi: '3.1.1',
    info: { title: 'Huozi Edge', version: '0.1.0', description },
    paths: paths(),
    components: {
      schemas: answers,
      responses: {
        Error: {
          description:
            "Something is wrong, in OpenAI's shape; `param` names the field. After a stream has begun it is an event of its own, after which the stream ends without `[DONE]`.",
          headers: {
            'x-request-id': { schema: string },
            'retry-after': {
              schema: { type: 'integer', maximum: 60 },
              description: 'Seconds; of 429 and 503.',
            },
            'x-should-retry': { schema: { enum: ['true', 'false'] } },
          },
          content: json(ref('Error')),
        },
      },
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'A key: hz_…' },
        admin: { type: 'http', scheme: 'bearer', description: 'ADMIN_TOKEN' },
        node: {
          type: 'apiKey',
          in: 'header',
          name: 'x-huozi-signature',
          description: 'HMAC-SHA256 of the body with NODE_TOKEN, hexadecimal.',
        },
      },
    },
  };
  return made;
}

function paths(): OpenApiDocument['paths'] {
  const all: OpenApiDocument['paths'] = {};
  for (const [route, operation] of Object.entries(operations)) {
    const [method, path] = route.split(' ') as [string, string];
    all[path] ??= {};
    all[path][method.toLowerCase()] = describe(path, operation);
  }
  return all;
}

function describe(path: string, operation: Operation): Described {
  const { summary, who, body, query, example } = operation;
  const schemas = body?.map(inputSchema);
  const parameters = [...pathParameters(path), ...(query ? queryParameters(query) : [])];
  return {
    tags: [who === 'key' ? 'API' : who],
    summary: summary.join(' · '),
    security: who === 'anybody' ? [] : [{ [who]: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(schemas && {
      requestBody: {
        // A rotation without a body is one without an overlap.
        required: schemas.some((schema) => schema.required !== undefined),
        content: json(schemas.length === 1 ? schemas[0]! : { anyOf: schemas }, example),
      },
    }),
    responses: {
      [operation.status ?? 200]: good(operation),
      default: { $ref: '#/components/responses/Error' },
    },
  };
}

function good({ answer, events, who, body }: Operation): object {
  const content = answers[answer] ? json(ref(answer)) : { [answer]: { schema: string } };
  const done = events === 'ResponseEvent' ? '' : ', and `data: [DONE]` at the end';
  return {
    description: events
      ? `The answer; with \`stream\` as server-sent events: each \`data:\` holds one ${events}${done}. Lines that begin with a colon are comments.`
      : 'The answer.',
    headers: {
      'x-request-id': { schema: string },
      ...(who === 'key' && limitHeaders),
      ...(events && body && moveHeaders),
    },
    content: { ...content, ...(events && { 'text/event-stream': { schema: ref(events) } }) },
  };
}

const moveHeaders = {
  'x-huozi-retries': {
    schema: string,
    description: 'Nodes that did not take the request, where there were any: another one did.',
  },
  'x-huozi-migrations': {
    schema: string,
    description:
      'Nodes that were lost with the answer, where there were any and as far as it was known when the headers went out: another one went on. A stream tells it by a comment, `: migrated`.',
  },
};

const limitHeaders = Object.fromEntries(
  ['requests', 'tokens'].flatMap((what) =>
    ['limit', 'remaining', 'reset'].map((standing) => [
      `x-ratelimit-${standing}-${what}`,
      { schema: string, description: 'Where the key has such a limit.' },
    ]),
  ),
);

function pathParameters(path: string): NonNullable<Described['parameters']> {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name!,
    in: 'path',
    required: true,
    schema: string,
  }));
}

function queryParameters(query: z.ZodMiniType): NonNullable<Described['parameters']> {
  const { properties, required = [] } = inputSchema(query) as {
    properties: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
    ...(typeof description === 'string' && { description }),
  }));
}

function json<E>(schema: JsonSchema, example?: E) {
  return { 'application/json': { schema, ...(example && { example }) } };
}
