/**
 * llama-server, Ollama and Hugging Face behind this node, each a double that speaks as its sources do: what they are
 * asked, and what comes of their answers. The real llama-server runs behind the whole edge in .ci/peers.
 */
import { describe, expect, it } from 'vitest';
import { everyText } from '../../../test/conformance/injection-corpus.ts';
import { tinyModel } from '../engine/testing/generate.ts';
import type { Segment } from '../protocol.ts';
import { huoziLiterals, huoziMarkers, neutraliser, stringPrompt } from '../string-prompt.ts';
import { UpstreamMalformedError } from './errors.ts';
import { promptText } from './prompt-text.ts';
import { connect, double, event, generate, greedy, prompt, written } from './testing/double.ts';
import { readKnownModel } from './vocabulary.ts';

describe('llama-server', () => {
  const told = (content: string, tokens: number[], rest: object = {}) =>
    event({ index: 0, content, tokens, stop: false, ...rest });
  const last = (stop_type: string) => told('', [], { stop: true, stop_type, timings: { cache_n: 3 } });

  async function start(events: (engine: { end: number; bytes: Int32Array }) => string, vocabulary?: number) {
    const { tokens, pieces, vocabulary: size } = await readKnownModel(tinyModel);
    const served = await double(({ path, response }) => {
      if (path === '/props') {
        response.end(JSON.stringify({ total_slots: 2, default_generation_settings: { n_ctx: 512 } }));
      } else if (path === '/v1/models') {
        response.end(JSON.stringify({ data: [{ meta: { n_vocab: vocabulary ?? size } }] }));
      } else if (path === '/completion') {
        response.end(events({ end: tokens.end, bytes: pieces.byteTokens }));
      } else {
        response.end('{}');
      }
    });
    return { served, engine: await connect('llama-server', served.url) };
  }

  it('gets token ids and gives them; what its file does not call an end is one all the same', async () => {
    const { served, engine } = await start(
      ({ end }) => told('好', [500]) + told('', [end]) + told('坏', [501]),
    );
    const answer = await generate(engine, { sampling: { ...greedy, logit_bias: { 9: 2 } } });
    expect(answer.ids).toEqual([500]);
    expect(answer.end).toMatchObject({ reason: 'stop', completionTokens: 2 });
    const { body } = served.asked.find(({ path }) => path === '/completion')!;
    expect(body.prompt).toEqual([...engine.tokenize(prompt)]);
    expect(body).toMatchObject({
      n_predict: 20,
      temperature: 0,
      repeat_last_n: 512,
      logit_bias: [[9, 2]],
      stop: [],
    });
    expect(engine.info.maxSequence).toBe(512);
    expect(engine.stats.slots).toBe(2);
  });

  it('gets a breaker where there is none: it has no other word for that', async () => {
    const { served, engine } = await start(() => last('eos'));
    const dry = { multiplier: 1, base: 1.75, allowed_length: 2, last_n: 0, sequence_breakers: [] };
    await generate(engine, { sampling: { ...greedy, dry } });
    const { body } = served.asked.find(({ path }) => path === '/completion')!;
    expect(body.dry_sequence_breakers).toHaveLength(1);
    expect(body.dry_sequence_breakers[0]).toMatch(/^\p{Cn}$/u);
  });

  it('tokens that it leaves out, because they are no whole character, are known by their bytes', async () => {
    const bytes = [...Buffer.from('🎐')];
    const { engine } = await start(({ bytes: tokens }) => told('🎐', [tokens[bytes[3]!]!]) + last('limit'));
    const known = await readKnownModel(tinyModel);
    const answer = await generate(engine);
    expect(answer.text).toBe('🎐');
    expect(answer.ids).toEqual(bytes.map((byte) => known.pieces.byteTokens[byte]));
    expect(answer.end).toMatchObject({ reason: 'length', completionTokens: 4, cachedTokens: 3 });
  });

  it('a grammar names the ends, and its trigger is part of it', async () => {
    const { served, engine } = await start(() => last('eos'));
    await generate(engine, { grammar: { gbnf: 'root ::= "\\n" x\nx ::= "1"', trigger: '<tool_call>' } });
    const { body } = served.asked.find(({ path }) => path === '/completion')!;
    const { tokens } = await readKnownModel(tinyModel);
    expect(body).toMatchObject({ grammar_lazy: true, grammar_triggers: [{ type: 1, value: '<tool_call>' }] });
    expect(body.grammar).toBe(
      `root ::= "<tool_call>" whole-answer (<[${tokens.eos}]> | <[${tokens.begin}]> | <[${tokens.end}]>)?\nwhole-answer ::= "\\n" x\nx ::= "1"`,
    );
  });

  it.each([
    ['is cut', ''],
    ['fails', event({ error: { code: 500, message: 'invalid: 静夜思', type: 'server_error' } })],
  ])('an answer that %s is none', async (_what, end) => {
    const { engine } = await start(() => told('好', [500]) + end);
    const answer = await generate(engine);
    expect(answer.end).toMatchObject({ reason: 'error', error: { name: 'EngineLostError' } });
    // Goes to the log.
    expect(answer.end.error!.message).not.toContain('静夜思');
  });

  it('one with another vocabulary is refused', async () => {
    await expect(start(() => '', 57_002)).rejects.toBeInstanceOf(UpstreamMalformedError);
  });
});

describe('Ollama', () => {
  const start = async (lines: object[]) => {
    const served = await double(({ path, response }) => {
      if (path === '/api/tags') response.end('{"models":[{"name":"huozi:latest"}]}');
      else if (path === '/api/generate')
        response.end(lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
      else response.end('{"version":"0"}');
    });
    return { served, engine: await connect('ollama', served.url, { contextTokens: 1024 }) };
  };

  it('gets the raw prompt, neutralised, and its own words for the rest', async () => {
    const { served, engine } = await start([
      { response: '好', done: false },
      { response: '', done: true, done_reason: 'stop', eval_count: 2 },
    ]);
    const answer = await generate(engine, { stopStrings: ['终'] });
    expect(answer).toMatchObject({ text: '好', ids: [], end: { reason: 'stop', completionTokens: 2 } });
    expect(served.asked.find(({ path }) => path === '/api/generate')!.body).toEqual({
      model: 'huozi:latest',
      prompt: written,
      raw: true,
      stream: true,
      truncate: false,
      shift: false,
      options: {
        ...{ temperature: 0.8, top_p: 0.9, top_k: 0, min_p: 0, typical_p: 1, seed: 7 },
        ...{ presence_penalty: 0, frequency_penalty: 0, repeat_penalty: 1, repeat_last_n: -1 },
        ...{ num_predict: 20, num_ctx: 1024 },
        stop: ['<|endofutterance|>', '<|beginofutterance|>', '</s>', '终'],
      },
    });
  });

  it('that ends without `done`, or with an error, gives no answer', async () => {
    for (const end of [[], [{ error: 'model runner has unexpectedly stopped' }]]) {
      const { engine } = await start([{ response: '好', done: false }, ...end]);
      expect((await generate(engine)).end.reason).toBe('error');
    }
  });
});

describe('Hugging Face', () => {
  it('a dedicated endpoint gets the neutralised prompt; its refusals are told as what they are', async () => {
    let status = 200;
    const served = await double(({ response }) => {
      response.writeHead(status, { 'content-type': 'text/event-stream', 'retry-after': '9' });
      const usage = { prompt_tokens: 9, completion_tokens: 2 };
      const text = (said: string, finish_reason: string) => ({
        choices: [{ index: 0, text: said, finish_reason }],
      });
      response.end(
        `${event(text('好', ''))}${event({ ...text('<|endofutterance|>', 'stop_sequence'), usage })}data: [DONE]\n\n`,
      );
    });
    const engine = await connect('huggingface', served.url, { billTo: 'us' });
    expect(await generate(engine)).toMatchObject({ text: '好', end: { reason: 'stop' } });
    const { path, headers, body } = served.asked[0]!;
    expect(path).toBe('/v1/completions');
    expect(headers).toMatchObject({ authorization: 'Bearer k', 'x-hf-bill-to': 'us' });
    expect(body).toMatchObject({
      model: 'tgi',
      prompt: written,
      max_tokens: 20,
      temperature: 0.8,
      top_p: 0.9,
    });
    status = 503;
    await expect(generate(engine)).rejects.toMatchObject({
      name: 'EngineRestartingError',
      retryAfterMs: 9000,
    });
    status = 429;
    await expect(generate(engine)).rejects.toMatchObject({ name: 'QueueFullError' });
  });
});

it('ids read back as text are the prompt that they were made of, whatever was typed', async () => {
  const model = await readKnownModel(tinyModel);
  const { neutralise } = neutraliser(huoziLiterals);
  for (const [name, text] of everyText) {
    const hostile: Segment[] = [{ control: 'bos' }, { control: 'begin' }, { text }, { control: 'end' }];
    const direct = stringPrompt(hostile, { ...huoziMarkers, bos: undefined }, neutralise);
    expect(promptText(model.tokenize(hostile), model), name).toBe(direct);
  }
});
