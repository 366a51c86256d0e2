import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import type { GenerationEnd, GenerationRequest, ServedEngine } from '../engine/types.ts';
import type { CancelResponse, GenerateRequest, NodeUsage } from '../protocol.ts';
import { AnswerEvents } from './answer-events.ts';
import { answerGrammar } from './answer-format.ts';
import type { NodeEnv, NodeState } from './app.ts';
import { ApiError, type CancelCause, endError } from './errors.ts';
import { EventStream } from './event-stream.ts';
import { completionBody, systemFingerprint } from './frames.ts';
import type { GenerationSink, RunningGeneration } from './generations.ts';
import { readJson } from './read-body.ts';
import { traceFields } from './trace.ts';
import { parseGenerateRequest } from './validate.ts';
import { WholeAnswer } from './whole-answer.ts';

/** Tokens of an answer whose request names no limit. */
const defaultMaxTokens = 2048;

/** `POST /v1/generate`: validate → tokenise → start → write, as a stream or as one body. */
export function generate(state: NodeState) {
  return async function generate(c: Context<NodeEnv>): Promise<Response> {
    const request = parseGenerateRequest(await readJson(c.env.incoming));
    const promptIds = await state.requireEngine().tokenize(request.prompt);
    // From here to the start nothing waits: neither the client's leaving nor a drain can fall between.
    const engine = state.requireEngine();
    const { outgoing } = c.env;
    if (outgoing.destroyed) return RESPONSE_ALREADY_SENT;

    const { events, prefix_keys } = request;
    if (prefix_keys) state.prefixes.use(prefix_keys, promptIds.length, engine.stats.kvTotal);
    const fingerprint = systemFingerprint(engine.info);
    const asked = engineRequests(engine, request, promptIds);
    const run = (sink: GenerationSink): RunningGeneration => {
      const logged = withLog(state, c, events.id, sink);
      const running = state.generations.start(events.id, engine, asked, logged);
      outgoing.on('close', () => running.cancel('client_gone'));
      return running;
    };

    if (events.stream) {
      const onSlowReader = () => {
        running.cancel('slow_reader');
        outgoing.destroy();
      };
      const answer = new AnswerEvents(request, fingerprint);
      const stream = new EventStream(outgoing, answer, state.stream, onSlowReader);
      const running = run(stream);
      await running.accepted;
      stream.open(c.get('requestId'));
      return RESPONSE_ALREADY_SENT;
    }

    return new Promise((resolve, reject) => {
      const answer = new WholeAnswer(request);
      const { accepted } = run({
        onContinued: (text) => answer.continued(text),
        onText: (text, _ids, _position, details, choice) => answer.text(choice, text, details),
        onChoiceEnd: (end, _position, choice) => answer.finish(choice, end),
        onEnd(end, usage, cause) {
          const header = { 'x-huozi-usage': JSON.stringify(usage) };
          if (outgoing.destroyed) {
            resolve(RESPONSE_ALREADY_SENT);
          } else if (end.reason === 'stop' || end.reason === 'length') {
            const body = completionBody(events, fingerprint, answer.choices, usage);
            resolve(c.body(body, 200, { 'content-type': 'application/json', ...header }));
          } else {
            const error = endError(end, cause);
            Object.assign(error.headers, header);
            reject(error);
          }
        },
      });
      accepted.catch(reject);
    });
  };
}

/** `DELETE /v1/generate/{id}`. */
export function cancel(state: NodeState) {
  return async function cancel(c: Context<NodeEnv>): Promise<Response> {
    const id = c.req.param('id') ?? '';
    const usage = await state.generations.cancel(id);
    if (!usage) {
      throw new ApiError(404, 'No generation with this id runs or has ended in the last minutes.', {
        param: 'id',
        code: 'not_found',
      });
    }
    return c.json({ id, usage } satisfies CancelResponse);
  };
}

/** One for each choice. */
function engineRequests(
  engine: ServedEngine,
  request: GenerateRequest,
  promptIds: Int32Array,
): GenerationRequest[] {
  if (promptIds.length === 0) {
    throw new ApiError(400, 'The prompt is empty.', { param: 'prompt', code: 'invalid_value' });
  }
  // A limit beyond the context is no error: the answer ends there with `length`. A prompt that leaves no
  // room at all is the engine's to refuse.
  const room = Math.max(1, engine.info.maxSequence - promptIds.length);
  const asked: GenerationRequest = {
    promptIds,
    sampling: request.sampling,
    maxTokens: Math.min(request.max_tokens ?? defaultMaxTokens, room),
    stopIds: request.stop_token_ids,
    stopStrings: request.stop,
    ignoreEos: request.ignore_eos,
    ...(request.adapter !== undefined && { adapter: request.adapter }),
    ...(request.tenant === undefined ? {} : { tenant: request.tenant }),
    ...(request.priority === undefined ? {} : { priority: request.priority }),
    ...(request.deadline_ms === undefined ? {} : { deadlineMs: request.deadline_ms }),
    ...(request.min_tokens !== undefined && { minTokens: request.min_tokens }),
    ...(request.format && { grammar: answerGrammar(request.format) }),
    ...(request.return_routed_experts && { returnExperts: true }),
    ...(request.logprobs !== undefined && { logprobs: request.logprobs }),
    ...(request.continue_ids && { continueIds: request.continue_ids }),
  };
  const { sampling, n = 1 } = request;
  return Array.from({ length: n }, (_, i) => ({
    ...asked,
    sampling: { ...sampling, seed: (sampling.seed + i) % 2 ** 32 },
  }));
}

/** Counts and times of a generation, never a word of it. */
function withLog(state: NodeState, c: Context<NodeEnv>, id: string, sink: GenerationSink): GenerationSink {
  const request_id = c.get('requestId');
  const trace = traceFields(c.req.header('traceparent'));
  const begin = performance.now();
  let firstText = 0;
  return {
    onText(...args) {
      if (firstText === 0) firstText = performance.now();
      sink.onText(...args);
    },
    onContinued: (text) => sink.onContinued(text),
    onChoiceEnd: (...args) => sink.onChoiceEnd(...args),
    onEnd(end: GenerationEnd, usage: NodeUsage, cause: CancelCause | undefined) {
      sink.onEnd(end, usage, cause);
      const fields = {
        request_id,
        ...trace,
        id,
        ...usage,
        cause,
        ttft_ms: firstText === 0 ? null : Math.round(firstText - begin),
        duration_ms: Math.round(performance.now() - begin),
      };
      state.metrics.ended(end.reason, cause);
      if (end.reason === 'error') state.log.error({ ...fields, err: end.error }, 'generation failed');
      else if (cause === 'slow_reader') state.log.warn(fields, 'client does not read: connection closed');
      else state.log.info(fields, 'generation ended');
    },
  };
}
