/**
 * A request in the words of an endpoint's `/v1/completions`, as Text Generation Inference (3.x, router/src/lib.rs) and
 * vLLM have them. TGI ignores what it does not know, so what is not honoured there is never sent there: such a request
 * gets no answer from the endpoint.
 */
import type { GenerateRequest } from 'huozi-gpu-backend/protocol';
import { huoziMarkers } from '../../gpu-backend/src/string-prompt.ts';
import type { Endpoint } from './settings.ts';

/** They end an answer, also where the endpoint's own configuration does not know it. */
export const endingTexts: readonly string[] = [huoziMarkers.end, huoziMarkers.begin, '</s>'];
/** The same by number; TGI takes no numbers, and needs none for those. */
const endingIds: readonly number[] = [2, 57_000, 57_001];
/** TGI refuses more, unless it is started with another number. */
const mostTgiStops = 4;

export interface Parameters {
  parameters: Record<string, unknown>;
  /** Whether the endpoint itself ends the answer at each stop string, and not only its reader. */
  stopsThere: boolean;
}

/** @returns undefined where the request asks for what the endpoint cannot do */
export function parametersFor(
  { engine }: Pick<Endpoint, 'engine'>,
  request: GenerateRequest,
  maxTokens: number,
): Parameters | undefined {
  if (!canBeTold(request)) return undefined;
  return engine === 'tgi' ? forTgi(request, maxTokens) : forVllm(request, maxTokens);
}

/** What needs token ids, the engine's logits or its grammar, or a form of answer that an endpoint does not have. */
function canBeTold(request: GenerateRequest): boolean {
  const { n = 1, min_tokens = 0, logprobs, echo, format, return_routed_experts, sampling } = request;
  const plain =
    n === 1 && min_tokens === 0 && !echo && !format && !return_routed_experts && !request.ignore_eos;
  const { logit_bias, dry, typical_p = 1 } = sampling;
  return plain && logprobs === undefined && !logit_bias && !dry && typical_p === 1;
}

function forTgi(
  { sampling, stop, stop_token_ids }: GenerateRequest,
  maxTokens: number,
): Parameters | undefined {
  const { top_k, min_p, presence_penalty, frequency_penalty, repetition_penalty } = sampling;
  if (top_k !== 0 || min_p !== 0 || presence_penalty !== 0) return undefined;
  if (stop_token_ids.some((id) => !endingIds.includes(id))) return undefined;
  // Its `</s>` is in the model's own configuration.
  const stops = [huoziMarkers.end, huoziMarkers.begin, ...stop];
  return {
    parameters: {
      max_new_tokens: maxTokens,
      ...warping(sampling),
      seed: sampling.seed,
      ...(frequency_penalty !== 0 && { frequency_penalty }),
      ...(repetition_penalty !== 1 && { repetition_penalty }),
      stop: stops.slice(0, mostTgiStops),
    },
    stopsThere: stops.length <= mostTgiStops,
  };
}

function forVllm({ sampling, stop, stop_token_ids }: GenerateRequest, maxTokens: number): Parameters {
  const { top_k, min_p, presence_penalty, frequency_penalty, repetition_penalty, seed } = sampling;
  return {
    parameters: {
      max_new_tokens: maxTokens,
      ...warping(sampling),
      ...(top_k > 0 && { top_k }),
      ...(min_p > 0 && { min_p }),
      presence_penalty,
      frequency_penalty,
      repetition_penalty,
      seed,
      stop: [...endingTexts, ...stop],
      stop_token_ids,
      // Else markers would be left out of the text, and nothing would stop at them.
      skip_special_tokens: false,
      spaces_between_special_tokens: false,
      stream_options: { include_usage: true },
    },
    stopsThere: true,
  };
}

/** TGI samples as soon as a top_p comes with it, also at temperature 0, and takes none of 1. */
function warping({ temperature, top_p }: GenerateRequest['sampling']) {
  return { temperature, ...(temperature > 0 && top_p < 1 && { top_p }) };
}
