/**
 * Huozi's ChatML as segments. Control tokens go by name and everything a client wrote goes as text, which the node
 * never parses for control tokens: so text cannot end its turn, whatever it says.
 *
 *     <s> ⟨begin⟩系统\nS⟨end⟩ \n ⟨begin⟩用户\nU⟨end⟩ \n ⟨begin⟩助手\n
 */
import type { Segment } from 'huozi-gpu-backend/protocol';

export type Speaker = '系统' | '用户' | '助手';

export interface Turn {
  speaker: Speaker;
  text: string;
}

const bos: Segment = { control: 'bos' };
const begin: Segment = { control: 'begin' };
const end: Segment = { control: 'end' };

/** The prompt for a new turn of the assistant. Turns of the history are all closed, also one of the assistant at the end. */
export function renderChat(turns: readonly Turn[]): Segment[] {
  return [
    bos,
    ...turns.flatMap((turn) => [begin, { text: `${turn.speaker}\n${turn.text}` }, end, { text: '\n' }]),
    begin,
    { text: '助手\n' },
  ];
}

/** Plain completion: no turns, one BOS. */
export function renderText(text: string): Segment[] {
  return text ? [bos, { text }] : [bos];
}
