import { expect, test } from 'vitest';
import { generateBody, send } from './testing/client.ts';
import { startTestNode } from './testing/start.ts';

async function scrape(url: string): Promise<Map<string, number>> {
  const answer = (await send(url, '/metrics')).read();
  await answer.ended;
  expect(answer.status).toBe(200);
  expect(answer.response.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = answer.text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('metrics want the token, and every name has the prefix', async () => {
  const { url } = await startTestNode();
  expect((await send(url, '/metrics', undefined, { token: null })).status).toBe(401);
  const metrics = await scrape(url);
  expect([...metrics.keys()].filter((name) => !name.startsWith('huozi_'))).toEqual([]);
  expect(metrics.get('huozi_engine_up')).toBe(1);
  expect(metrics.get('huozi_slots')).toBe(4);
  expect(metrics.get('huozi_kv_cache_cells')).toBe(400);
  expect(metrics.get('huozi_process_resident_memory_bytes')).toBeGreaterThan(1e7);
  expect(metrics.get('huozi_request_errors_total{status="401",code="invalid_api_key"}')).toBe(1);
});

test('an answer is counted: tokens, its first text, gaps, its end', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  const generation = await arrival;
  expect((await scrape(url)).get('huozi_num_requests_running')).toBe(1);
  generation.text('你', 1);
  generation.text('好', 2);
  generation.text('吗', 3);
  generation.end('stop');
  await answer.ended;
  const metrics = await scrape(url);
  expect(metrics.get('huozi_requests_finished_total{reason="stop"}')).toBe(1);
  expect(metrics.get('huozi_prompt_tokens_total')).toBe(3);
  expect(metrics.get('huozi_generation_tokens_total')).toBe(3);
  expect(metrics.get('huozi_time_to_first_token_seconds_count')).toBe(1);
  expect(metrics.get('huozi_inter_token_latency_seconds_count')).toBe(2);
  expect(metrics.get('huozi_e2e_request_latency_seconds_count')).toBe(1);
  expect(metrics.get('huozi_num_requests_running')).toBe(0);
});

test('a cancelled one is counted by its cause, a refused one by its code', async () => {
  const { url, engine } = await startTestNode();
  const arrival = engine.arrival();
  const answer = (await send(url, '/v1/generate', generateBody())).read();
  await arrival;
  const removal = send(url, '/v1/generate/chatcmpl-1', undefined, { method: 'DELETE' });
  while (![...engine.running].every(({ cancelled }) => cancelled)) await new Promise(setImmediate);
  engine.step();
  await (await removal).read().ended;
  await answer.ended;
  expect((await send(url, '/v1/generate', '{')).status).toBe(400);
  const metrics = await scrape(url);
  expect(metrics.get('huozi_requests_finished_total{reason="cancelled"}')).toBe(1);
  expect(metrics.get('huozi_request_cancels_total{cause="request"}')).toBe(1);
  expect(metrics.get('huozi_request_errors_total{status="400",code="invalid_json"}')).toBe(1);
});
