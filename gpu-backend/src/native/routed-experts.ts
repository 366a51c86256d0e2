/**
 * Which experts each token of a step was routed to, read from the graph while it runs. The scheduler then asks
 * for every node of the graph, each a hop to the event loop (10–20 % of a step), so nothing is registered
 * unless somebody wants to know.
 */
import koffi from 'koffi';
import { loadLibrary, type Pointer } from './library.ts';
import { tensor } from './structs.ts';

/**
 * One layer of one micro-batch.
 * @param experts `[tokens, used]`, in the order of the batch; a token's experts by descending router weight
 */
export type RoutedExpertsListener = (layer: number, experts: Int32Array, used: number) => void;

export interface EvalCallback {
  readonly pointer: Pointer;
  free(): void;
}

const callbackType = koffi.pointer(koffi.proto('bool', ['void *', 'bool', 'void *']));
const nodeName = 'ffn_moe_topk-';
const nameOffset = BigInt(koffi.offsetof(tensor, 'name'));

export function watchRoutedExperts(listener: RoutedExpertsListener): EvalCallback {
  const lib = loadLibrary();
  const pointer = koffi.register((node: Pointer, ask: boolean) => {
    const name = koffi.decode.string(node + nameOffset);
    // After "no" to the question, "true" to the observation lets the graph go on.
    if (!name.startsWith(nodeName)) return !ask;
    if (ask) return true;
    const { ne, nb } = koffi.decode(node, tensor) as { ne: BigInt64Array; nb: BigUint64Array };
    const [used, tokens, stride] = [Number(ne[0]), Number(ne[1]), Number(nb[1]) / 4];
    // The last layer of a step that wants no logits has no rows left.
    if (tokens === 0) {
      listener(Number(name.slice(nodeName.length)), new Int32Array(0), used);
      return true;
    }
    // A view of the whole argsort: a row is as long as there are experts, its first `used` entries are chosen.
    const rows = new Int32Array((tokens - 1) * stride + used);
    lib.ggml_backend_tensor_get(node, rows, 0, rows.byteLength);
    const experts = new Int32Array(tokens * used);
    for (let i = 0; i < tokens; i++) experts.set(rows.subarray(i * stride, i * stride + used), i * used);
    listener(Number(name.slice(nodeName.length)), experts, used);
    return true;
  }, callbackType);
  return { pointer, free: () => koffi.unregister(pointer) };
}
