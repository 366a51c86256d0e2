/** `routed_experts`: base64 of a NumPy file, `[positions, layers, experts used]` of unsigned integers. */
import { UpstreamMalformedError } from '../upstream/errors.ts';

const magic = '\x93NUMPY';
const widths: Record<string, number> = { '|u1': 1, '<u2': 2, '<i4': 4 };

/**
 * @param tokens of the answer: the last so many positions are those that they were drawn from
 * @returns one byte an expert, `[tokens, layers, experts used]`
 * @throws UpstreamMalformedError
 */
export function readRoutedExperts(base64: string, tokens: number): Uint8Array {
  const file = Buffer.from(base64, 'base64');
  const malformed = (what: string) => new UpstreamMalformedError(`routed experts: ${what}`);
  if (file.subarray(0, 6).toString('latin1') !== magic) throw malformed('no NumPy file');
  const wide = (file[6] ?? 1) > 1;
  const start = wide ? 12 : 10;
  if (file.length < start) throw malformed('no header');
  const length = wide ? file.readUInt32LE(8) : file.readUInt16LE(8);
  const header = file.subarray(start, start + length).toString('latin1');
  const width = widths[/'descr':\s*'([^']*)'/.exec(header)?.[1] ?? ''];
  const shape = /'shape':\s*\((\d+),\s*(\d+),\s*(\d+),?\s*\)/.exec(header)?.slice(1).map(Number);
  if (!width || !shape || /'fortran_order':\s*True/.test(header)) throw malformed(`header ${header}`);
  const [positions = 0, layers = 0, used = 0] = shape;
  const row = layers * used;
  if (file.length < start + length + positions * row * width) throw malformed('cut short');
  if (positions < tokens) throw malformed(`${positions} positions for ${tokens} tokens`);
  const experts = new Uint8Array(tokens * row);
  const from = start + length + (positions - tokens) * row * width;
  for (let i = 0; i < experts.length; i++) {
    // Little-endian; an expert above 255 would need a wider contract.
    const value =
      width === 1
        ? file[from + i]!
        : width === 2
          ? file.readUInt16LE(from + 2 * i)
          : file.readInt32LE(from + 4 * i);
    if (value > 255 || value < 0) throw malformed(`expert ${value}`);
    experts[i] = value;
  }
  return experts;
}
