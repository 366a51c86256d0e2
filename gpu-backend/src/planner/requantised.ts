/** The same model at another file type: what its tensors would weigh, as `llama-quantize` chooses their types. */
import { ggmlType, typeBytes } from '../gguf/ggml-types.ts';
import type { TensorInfo } from '../gguf/header.ts';
import { type Model, weigh } from '../gguf/model.ts';
import { type FileType, mixedType } from '../gguf/quant-mix.ts';

export function requantised(model: Model, fileType: FileType): Model {
  const shape = {
    layers: model.layers.length,
    experts: model.experts,
    groupedHeads: model.heads / model.kvHeads,
  };
  const tensors = model.tensors.map((tensor): TensorInfo => {
    const type = ggmlType(mixedType(fileType, tensor.name, tensor.shape, shape));
    const values = tensor.shape.reduce((product, n) => product * n, 1);
    return { ...tensor, type, bytes: typeBytes(type, values) };
  });
  return { ...model, ...weigh(tensors, model.layers.length), tensors };
}

export const weightsBytes = (model: Model) => model.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
