/** Every route, with the schemas that its handler validates with. Summaries in English and Chinese. */
import type * as z from 'zod/mini';
import { keyChange, newKey, page, rotation } from '../admin/key-requests.ts';
import { chatBody } from '../chat-request.ts';
import { completionBody } from '../completion-request.ts';
import { expertsQuery } from '../experts/experts.ts';
import { beatBody } from '../fleet/beat.ts';
import { itemsQuery, retrieval } from '../responses/item-query.ts';
import { inputTokensBody, responseBody } from '../responses/response-request.ts';
import { followQuery } from '../streams/follow-query.ts';
import { tokenizeChatBody, tokenizeTextBody } from '../tokenize-request.ts';
import { admins, owners } from '../usage/usage-query.ts';

export interface Operation {
  summary: [english: string, chinese: string];
  /** Whose token opens it. */
  who: 'anybody' | 'key' | 'admin' | 'node';
  /** Any one of these. */
  body?: z.ZodMiniType[];
  query?: z.ZodMiniType;
  /** A body that is accepted. */
  example?: object;
  /** Name in answers.ts, or the type of what is no JSON. */
  answer: string;
  status?: 201;
  /** Name in answers.ts of what an event of the stream holds. */
  events?: string;
}

const messages = [{ role: 'user', content: '背诵《静夜思》' }];
const model = 'huozi';

/** By method and path, as OpenAPI writes paths. */
export const operations: Record<string, Operation> = {
  'POST /v1/chat/completions': {
    summary: ['Answer a conversation', '回答一段对话'],
    who: 'key',
    body: [chatBody],
    example: { model, messages, temperature: 0, stream: true },
    answer: 'ChatCompletion',
    events: 'ChatCompletionChunk',
  },
  'POST /v1/completions': {
    summary: ['Go on with a text', '续写文本'],
    who: 'key',
    body: [completionBody],
    example: { model, prompt: '床前明月光', max_tokens: 32 },
    answer: 'TextCompletion',
    events: 'TextCompletion',
  },
  'POST /v1/responses': {
    summary: ['Answer, and keep the conversation', '回答并保存对话'],
    who: 'key',
    body: [responseBody],
    example: { model, instructions: '你是一个智能助手', input: '从1数到10' },
    answer: 'Response',
    events: 'ResponseEvent',
  },
  'POST /v1/responses/input_tokens': {
    summary: ['Count the tokens of a response’s prompt', '计算提示的 token 数'],
    who: 'key',
    body: [inputTokensBody],
    example: { model, input: '从1数到10' },
    answer: 'InputTokens',
  },
  'GET /v1/responses/{id}': {
    summary: [
      'Read a stored response; with `stream` the events of one in the background, after `starting_after`',
      '读取已存储的回答;带 `stream` 则续读后台回答的事件流',
    ],
    who: 'key',
    query: retrieval,
    answer: 'Response',
    events: 'ResponseEvent',
  },
  'DELETE /v1/responses/{id}': {
    summary: ['Delete a stored response', '删除已存储的回答'],
    who: 'key',
    answer: 'DeletedResponse',
  },
  'POST /v1/responses/{id}/cancel': {
    summary: ['Stop a response that is being made', '停止正在生成的回答'],
    who: 'key',
    answer: 'Response',
  },
  'GET /v1/responses/{id}/input_items': {
    summary: ['List the input of a stored response', '列出已存储回答的输入'],
    who: 'key',
    query: itemsQuery,
    answer: 'InputItemList',
  },
  'GET /v1/streams/{id}': {
    summary: ['Go on reading a resumable stream, after event `after` or `Last-Event-ID`', '续读可恢复的流'],
    who: 'key',
    query: followQuery,
    answer: 'text/event-stream',
  },
  'DELETE /v1/streams/{id}': {
    summary: ['Stop the answer of a stream', '停止流的生成'],
    who: 'key',
    answer: 'Stream',
  },
  'POST /v1/tokenize': {
    summary: ['Count and show tokens', '计数并显示 token'],
    who: 'key',
    body: [tokenizeChatBody, tokenizeTextBody],
    example: { messages },
    answer: 'TokenList',
  },
  'GET /v1/models': { summary: ['List models', '列出模型'], who: 'key', answer: 'ModelList' },
  'GET /v1/models/{id}': { summary: ['Show a model', '查看模型'], who: 'key', answer: 'Model' },
  'GET /v1/usage': {
    summary: ['What this key has used', '本密钥的用量'],
    who: 'key',
    query: owners,
    answer: 'UsageReport',
  },
  'GET /v1/experts': {
    summary: ['Which experts tokens went to, over all nodes', '各专家处理的 token(所有节点合计)'],
    who: 'key',
    query: expertsQuery,
    answer: 'Experts',
  },
  'POST /admin/keys': {
    summary: ['Make a key, which is shown this once', '创建密钥(仅显示一次)'],
    who: 'admin',
    body: [newKey],
    example: {
      name: 'web',
      limits: { requests_per_minute: 60, tokens_per_day: 1_000_000 },
      models: [model],
      labels: { team: 'web' },
    },
    answer: 'NewKey',
    status: 201,
  },
  'GET /admin/keys': { summary: ['List keys', '列出密钥'], who: 'admin', query: page, answer: 'KeyList' },
  'GET /admin/keys/{id}': { summary: ['Show a key', '查看密钥'], who: 'admin', answer: 'Key' },
  'PATCH /admin/keys/{id}': {
    summary: ['Change a key', '修改密钥'],
    who: 'admin',
    body: [keyChange],
    example: { limits: { concurrent: 4 }, expires_at: '2027-01-01' },
    answer: 'Key',
  },
  'DELETE /admin/keys/{id}': {
    summary: ['Revoke a key, from its next request on', '吊销密钥,自下一次请求起生效'],
    who: 'admin',
    answer: 'Key',
  },
  'POST /admin/keys/{id}/rotate': {
    summary: ['Put a new key in the place of the old', '轮换密钥'],
    who: 'admin',
    body: [rotation],
    example: { overlap_seconds: 3_600 },
    answer: 'NewKey',
  },
  'GET /admin/usage': {
    summary: ['What all keys have used', '所有密钥的用量'],
    who: 'admin',
    query: admins,
    answer: 'UsageReport',
  },
  'GET /admin/nodes': {
    summary: ['What every node says of itself, and how it did', '各节点的自述与状态'],
    who: 'admin',
    answer: 'NodeList',
  },
  'GET /admin/experts': {
    summary: ['The same as /v1/experts, for the admin', '与 /v1/experts 相同,供管理员使用'],
    who: 'admin',
    query: expertsQuery,
    answer: 'Experts',
  },
  'POST /fleet/beat': {
    summary: ['A node announces itself', '节点自报'],
    who: 'node',
    body: [beatBody],
    example: {
      url: 'https://node.example',
      sent_at: 1_790_000_000_000,
      leaving: false,
      info: { model, version: '0.1.0', context_length: 32_768, slots: 8, active: 1, queued: 0 },
    },
    answer: 'Beat',
  },
  'GET /healthz': { summary: ['Whether the edge lives', '网关是否存活'], who: 'anybody', answer: 'Health' },
  'GET /openapi.json': {
    summary: ['This document', '本文档'],
    who: 'anybody',
    answer: 'application/json',
  },
  'GET /': { summary: ['The playground', '试用页面'], who: 'anybody', answer: 'text/html' },
  'GET /assets/{file}': {
    summary: ["The playground's scripts and style", '试用页面的脚本与样式'],
    who: 'anybody',
    answer: 'text/javascript',
  },
  'GET /docs': { summary: ['This document as a page', '文档页面'], who: 'anybody', answer: 'text/html' },
  'GET /docs/style.css': { summary: ['Its style', '页面样式'], who: 'anybody', answer: 'text/css' },
};
