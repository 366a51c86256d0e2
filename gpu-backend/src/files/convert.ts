/** A Hugging Face folder of Mixtral weights → one GGUF file, as llama.cpp's convert_hf_to_gguf.py makes it. */
import { openCheckpoint, TensorReader } from './checkpoint.ts';
import { encodeHeader, padding, type TensorType, tensorBytes } from './gguf-header.ts';
import { readMixtralConfig } from './mixtral-config.ts';
import { mixtralMetadata } from './mixtral-metadata.ts';
import { planTensors } from './mixtral-tensors.ts';
import { writeFully, writeOutputFile } from './output-file.ts';
import { RowConverter } from './row-converter.ts';

export interface ConvertOptions {
  folder: string;
  out: string;
  type: TensorType;
  /** Replace `out` if it exists. */
  force?: boolean;
  /** Bytes of the output file; told once before `onProgress`. */
  onStart?(totalBytes: number): void;
  /** Bytes written since the last call. */
  onProgress?(bytes: number): void;
}

export interface ConvertResult {
  tensors: number;
  bytes: number;
  /** What was left out, one line each. */
  warnings: string[];
}

/** @throws FileToolError, naming the file and the tensor */
export async function convert(options: ConvertOptions): Promise<ConvertResult> {
  const { folder, out, type, force = false, onStart, onProgress } = options;
  const config = await readMixtralConfig(folder);
  const tensors = planTensors(await openCheckpoint(folder), config, type);
  const { metadata, warnings } = await mixtralMetadata(folder, config, tensors, type);
  const header = encodeHeader(metadata, tensors);
  const bytes = tensors.reduce((sum, tensor) => {
    const size = tensorBytes(tensor);
    return sum + size + padding(size);
  }, header.length);

  await writeOutputFile(out, force, async (handle) => {
    onStart?.(bytes);
    const write = async (data: Uint8Array) => {
      await writeFully(handle, data);
      onProgress?.(data.length);
    };
    const reader = new TensorReader();
    const converters = new Map<TensorType, RowConverter>();
    try {
      await write(header);
      for (const tensor of tensors) {
        let converter = converters.get(tensor.type);
        if (!converter) {
          converter = new RowConverter(reader, tensor.type);
          converters.set(tensor.type, converter);
        }
        for (const source of tensor.sources) await converter.convert(source, tensor.interleavedHeads, write);
        const gap = padding(tensorBytes(tensor));
        if (gap) await write(Buffer.alloc(gap));
      }
    } finally {
      await reader.close();
    }
  });
  return { tensors: tensors.length, bytes, warnings };
}
