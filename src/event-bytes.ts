/**
 * What the edge must know of a node's event stream, read from the bytes without parsing an event: where the last
 * whole event ends, and, of the last write only, whether it closed the stream, with which usage, at which token.
 *
 * A blank line cannot stand inside an event, because JSON escapes line ends. The node writes LF alone.
 */
import type { NodeUsage } from 'huozi-gpu-backend/protocol';

const lf = 0x0a;
const colon = 0x3a;
const comma = 0x2c;
const zero = 0x30;
const openBrace = 0x7b;
const brace = 0x7d;
const openBracket = 0x5b;
const bracket = 0x5d;
const encoder = new TextEncoder();
const idsMark = encoder.encode(': ids ');
const idMark = encoder.encode('id: ');
const dataMark = encoder.encode('data: ');
const decoder = new TextDecoder();
const done = encoder.encode('data: [DONE]\n\n');
const pingMark = encoder.encode(': ping');

/** Where the last whole event ends: just after its blank line, or 0. */
export function wholeEvents(bytes: Uint8Array): number {
  for (let at = bytes.length - 1; at > 0; at--) {
    if (bytes[at] === lf && bytes[at - 1] === lf) return at + 1;
  }
  return 0;
}

/** Whether whole events end in `[DONE]`. */
export function closesStream(bytes: Uint8Array): boolean {
  const start = bytes.length - done.length;
  return start >= 0 && done.every((byte, at) => bytes[start + at] === byte);
}

/**
 * Where the error event begins that ends these whole events, or −1. Looks at two bytes of almost every write: of the
 * events of an answer only those of its end, as the usage, close two objects at once.
 */
export function failureAt(bytes: Uint8Array): number {
  const end = bytes.length - '}}\n\n'.length;
  if (end < 0 || bytes[end] !== brace || bytes[end + 1] !== brace) return -1;
  const start = wholeEvents(bytes.subarray(0, bytes.length - 2));
  const event = decoder.decode(bytes.subarray(start));
  return /^data: \{"error":/m.test(event) ? start : -1;
}

/** The code of an error event; undefined when it has none that could be known. */
export function codeOf(event: Uint8Array): string | undefined {
  return /"code":"(\w{1,64})"/.exec(decoder.decode(event))?.[1];
}

/** Whether whole events are pings and nothing else: several have come together where a client was slow. */
export function isPing(bytes: Uint8Array): boolean {
  // Almost every write ends here.
  if (bytes[0] !== colon) return false;
  for (let at = 0; at < bytes.length; at = bytes.indexOf(lf, at) + 2) {
    if (!isMark(bytes, at, pingMark)) return false;
  }
  return true;
}

export function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

/**
 * Reads what another node needs to go on, without parsing an event: a search for line ends, and the numbers of the
 * `: ids` lines. And sees by the ends of each line whether a node wrote it, or something on the way here.
 * @param events whole ones
 * @param ids gets the token ids that they tell
 * @returns where the first event begins that no node wrote, whose ids and those after it are not told: the length,
 *   if there is none
 */
export function readIds(events: Uint8Array, ids: number[]): number {
  let line = 0;
  let event = 0;
  let told = ids.length;
  for (let eol = events.indexOf(lf); eol >= 0; eol = events.indexOf(lf, line)) {
    if (eol === line) {
      event = eol + 1;
      told = ids.length;
    } else if (events[line] === colon) {
      if (isMark(events, line, idsMark)) readNumbers(events, line + idsMark.length, eol, ids);
    } else if (!isNodesLine(events, line, eol)) {
      ids.length = told;
      return event;
    }
    line = eol + 1;
  }
  return events.length;
}

/** `id: 17`, `data: {…}`, `data: [DONE]` */
function isNodesLine(bytes: Uint8Array, at: number, end: number): boolean {
  if (isMark(bytes, at, idMark)) return true;
  if (!isMark(bytes, at, dataMark)) return false;
  const first = bytes[at + dataMark.length];
  return (
    (first === openBrace && bytes[end - 1] === brace) || (first === openBracket && bytes[end - 1] === bracket)
  );
}

function isMark(bytes: Uint8Array, at: number, mark: Uint8Array): boolean {
  for (let i = 0; i < mark.length; i++) if (bytes[at + i] !== mark[i]) return false;
  return true;
}

/** `312,447` */
function readNumbers(bytes: Uint8Array, start: number, end: number, numbers: number[]): void {
  let number = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === comma) {
      numbers.push(number);
      number = 0;
    } else {
      number = number * 10 + byte - zero;
    }
  }
  numbers.push(number);
}

/** How many events of an answer's end are the last of these whole events: 0; 1: its finish; 2: its usage as well. */
export function endEvents(bytes: Uint8Array): 0 | 1 | 2 {
  // What was said cannot look like it: its quotes are escaped.
  const events = decoder.decode(bytes);
  if (events.includes('"choices":[],"usage":{')) return 2;
  return events.includes('"finish_reason":"') ? 1 : 0;
}

/** Where the first event of whole events ends. */
export function firstEvent(bytes: Uint8Array): number {
  let line = 0;
  for (let eol = bytes.indexOf(lf); eol > line; eol = bytes.indexOf(lf, line)) line = eol + 1;
  return line + 1;
}

interface LastWrite {
  /** Of the `: usage` comment that ends an answer, good or bad. */
  usage: NodeUsage | undefined;
  /** Tokens generated so far, by the last `id:` line. */
  position: number;
}

/** Once a stream, at its end. */
export function readLastWrite(bytes: Uint8Array): LastWrite {
  const lines = decoder.decode(bytes).split('\n');
  const usage = lines.findLast((line) => line.startsWith(': usage '));
  const id = lines.findLast((line) => line.startsWith('id: '));
  return {
    usage: usage === undefined ? undefined : parseUsage(usage.slice(': usage '.length)),
    position: Number(id?.slice('id: '.length)) || 0,
  };
}

function parseUsage(json: string): NodeUsage | undefined {
  try {
    const usage = JSON.parse(json) as NodeUsage;
    return Number.isSafeInteger(usage.prompt_tokens) && Number.isSafeInteger(usage.completion_tokens)
      ? usage
      : undefined;
  } catch {
    return undefined;
  }
}
