/**
 * The engine's process: loads the model and does what messages say. If native code ends it, the server lives on.
 * Started by engine-process.ts alone.
 */
import { loadEngine } from '../engine/engine.ts';
import type { Engine, EngineOptions, Generation, GenerationEnd, GenerationEvents } from '../engine/types.ts';
import type { Entry, FromEngine, ToEngine } from './messages.ts';
import { toWire } from './wire-error.ts';

const aliveMs = 500;
const generations = new Map<number, Generation>();
let engine: Engine;
let entries: Entry[] = [];
let closed = false;

const send = (message: FromEngine) => {
  // Without the callback a parent that is gone would be an exception here; `disconnect` deals with it.
  if (process.connected) process.send!(message, undefined, undefined, () => undefined);
};

/** A step tells all its events in one turn of the event loop, and they leave together after it. */
function tell(entry: Entry): void {
  if (entries.push(entry) === 1) process.nextTick(flush);
}

function flush(): void {
  const turn = entries;
  entries = [];
  send({ type: 'turn', entries: turn, stats: engine.stats });
}

function tellAlive(): void {
  send({ type: 'alive', stats: engine.stats, residentBytes: process.memoryUsage.rss() });
}

/** One for each event there is; the compiler asks for those that come later. */
const eventsOf = (id: number): Required<GenerationEvents> => ({
  onContinued: (...args) => tell([id, 'onContinued', ...args]),
  onText: (...args) => tell([id, 'onText', ...args]),
  onEnd(end: GenerationEnd) {
    generations.delete(id);
    tell([id, 'onEnd', end.error ? { ...end, error: toWire(end.error) } : end]);
  },
});

async function load(options: EngineOptions): Promise<void> {
  try {
    engine = await loadEngine(options);
    send({ type: 'loaded', info: engine.info, stats: engine.stats });
    setInterval(tellAlive, aliveMs);
  } catch (error) {
    send({ type: 'failed', error: toWire(error) });
  }
}

async function receive(message: ToEngine): Promise<void> {
  switch (message.type) {
    case 'load':
      return load(message.options);
    case 'tokenize':
      try {
        tell([message.id, 'tokens', await engine.tokenize(message.segments)]);
      } catch (error) {
        tell([message.id, 'refused', toWire(error)]);
      }
      return;
    case 'experts':
      tell([message.id, 'experts', await engine.expertTelemetry()]);
      return;
    case 'generate': {
      const { id, request } = message;
      try {
        generations.set(id, engine.generate(request, eventsOf(id)));
        tell([id, 'accepted']);
      } catch (error) {
        tell([id, 'refused', toWire(error)]);
      }
      return;
    }
    case 'cancel':
      generations.get(message.id)?.cancel();
      return;
    case 'close':
      await engine.close();
      closed = true;
      // After the turn that told the last ends; what is queued still goes out.
      process.nextTick(() => process.disconnect());
      return;
    default:
      return message satisfies never;
  }
}

// Signals that a terminal or a supervisor sends to the whole group are the server's to act on: it drains first.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('message', receive);
// Also when the server was killed. A native call that hangs would survive a mere `process.exit`.
process.on('disconnect', () => (closed ? process.exit(0) : process.kill(process.pid, 'SIGKILL')));
