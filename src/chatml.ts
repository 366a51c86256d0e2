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
  /** Of functions that the assistant called just before, and not of the user. */
  results?: true;
}

/**
 * How a prompt ends: with a new turn of the assistant, inside its last one, which the answer goes on with, or after
 * the last turn.
 */
export type Ending = 'new_turn' | 'continued' | 'closed';

const bos: Segment = { control: 'bos' };
const begin: Segment = { control: 'begin' };
const end: Segment = { control: 'end' };

/** Turns of the history are all closed, also one of the assistant at the end, unless it is to be continued. */
export function renderChat(turns: readonly Turn[], ending: Ending = 'new_turn'): Segment[] {
  const segments = [
    bos,
    ...turns.flatMap((turn) => [begin, { text: `${turn.speaker}\n${turn.text}` }, end, { text: '\n' }]),
  ];
  if (ending === 'new_turn') segments.push(begin, { text: '助手\n' });
  if (ending === 'continued') segments.splice(-2);
  return segments;
}

/** Adds to what the system turn says; makes one where there is none. */
export function withSystemSections(turns: readonly Turn[], sections: readonly string[]): Turn[] {
  if (sections.length === 0) return [...turns];
  const [first, ...rest] = turns;
  const system = first?.speaker === '系统' ? first : undefined;
  const text = [system?.text, ...sections].filter(Boolean).join('\n\n');
  return [{ speaker: '系统', text }, ...(system ? rest : turns)];
}

/** Plain completion: no turns, one BOS. */
export function renderText(text: string): Segment[] {
  return text ? [bos, { text }] : [bos];
}
