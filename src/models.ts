/** `GET /v1/models`: what the nodes serve, in OpenAI's shape. */
import type { NodeInfo } from 'huozi-gpu-backend/protocol';
import type { Call } from './call.ts';
import { EdgeError } from './errors.ts';
import { isServedBy, knownNodes, namesOf, nodesServing, parentOf } from './nodes.ts';

interface Model {
  id: string;
  object: 'model';
  /** When the model's file was last written on a node that serves it, the latest of them; unix seconds. */
  created: number;
  owned_by: 'huozi';
  /** Of a LoRA adapter: the model that it is put on. */
  parent?: string;
  /** Longest prompt + answer on every node that serves it, tokens; as vLLM names it. */
  max_model_len: number;
}

/** @param allowed to the key; null: all */
export async function listModels(
  call: Call,
  allowed: string[] | null,
): Promise<{ object: 'list'; data: Model[] }> {
  const infos = (await knownNodes(call)).flatMap(({ info }) => info ?? []);
  if (infos.length === 0) throw new EdgeError({ kind: 'no_node_available', retryAfter: 5 });
  const ids = [...new Set(infos.flatMap(namesOf))].filter((id) => allowed?.includes(id) ?? true);
  const serving = (id: string) => infos.filter((info) => isServedBy(info, id));
  return { object: 'list', data: ids.map((id) => model(call, id, serving(id))) };
}

export async function getModel(call: Call, id: string): Promise<Model> {
  const nodes = await nodesServing(call, id);
  return model(
    call,
    id,
    nodes.map((node) => node.info!),
  );
}

/** When this isolate was first asked, for nodes of a version that does not say when their model was made. */
let firstAsked: number | undefined;

function model({ startedAt }: Call, id: string, infos: readonly NodeInfo[]): Model {
  firstAsked ??= Math.floor(startedAt / 1000);
  return {
    id,
    object: 'model',
    created: Math.max(...infos.map((info) => info.model_created ?? 0)) || firstAsked,
    owned_by: 'huozi',
    ...(infos.every((info) => info.model !== id) && { parent: parentOf(id) }),
    max_model_len: Math.min(...infos.map((info) => info.context_length)),
  };
}
