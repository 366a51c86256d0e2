/** `GET /v1/models`: what the nodes serve, in OpenAI's shape. */
import type { Call } from './call.ts';
import { EdgeError } from './errors.ts';
import { knownNodes, nodesServing } from './nodes.ts';

interface Model {
  id: string;
  object: 'model';
  /** Nodes do not say when a model was made. */
  created: 0;
  owned_by: 'huozi';
  /** Longest prompt + answer on every node that serves it, tokens; as vLLM names it. */
  max_model_len: number;
}

/** @param allowed to the key; null: all */
export async function listModels(
  call: Call,
  allowed: string[] | null,
): Promise<{ object: 'list'; data: Model[] }> {
  const models = new Map<string, Model>();
  for (const { info } of await knownNodes(call)) {
    if (!info) continue;
    const shorter = Math.min(
      info.context_length,
      models.get(info.model)?.max_model_len ?? Number.POSITIVE_INFINITY,
    );
    models.set(info.model, model(info.model, shorter));
  }
  if (models.size === 0) throw new EdgeError({ kind: 'no_node_available', retryAfter: 5 });
  const shown = [...models.values()].filter(({ id }) => allowed?.includes(id) ?? true);
  return { object: 'list', data: shown };
}

export async function getModel(call: Call, id: string): Promise<Model> {
  const nodes = await nodesServing(call, id);
  return model(id, Math.min(...nodes.map((node) => node.info!.context_length)));
}

function model(id: string, max_model_len: number): Model {
  return { id, object: 'model', created: 0, owned_by: 'huozi', max_model_len };
}
