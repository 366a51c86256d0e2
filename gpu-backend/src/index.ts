/** Runs a node inside a program of your own; `huozi-gpu-backend serve` is a command line around it. */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Logger, pino } from 'pino';
import { loadEngine } from './engine/engine.ts';
import type { EngineOptions, ServedEngine } from './engine/types.ts';
import { startEngineProcess } from './engine-process/engine-process.ts';
import { type NodeServerOptions, type RunningNode, serveNode } from './server/node.ts';

export { loadEngine } from './engine/engine.ts';
export type * from './engine/types.ts';
export type { NodeServerOptions, RunningNode } from './server/node.ts';

export const nodeDefaults = {
  /** huozi-tiny, which comes with this package. */
  modelPath: fileURLToPath(new URL('../models/huozi-tiny/huozi-tiny-q8_0.gguf', import.meta.url)),
  host: '127.0.0.1',
  name: 'huozi',
  slots: 8,
  contextTokens: 8192,
  batchTokens: 512,
};

export interface NodeOptions
  extends Partial<EngineOptions>,
    Partial<Omit<NodeServerOptions, 'token'>>,
    Pick<NodeServerOptions, 'token'> {
  /**
   * Run the engine in a child process, so that native code that fails takes no server with it.
   * @default true
   */
  engineProcess?: boolean;
  /** Another engine than llama.cpp. Called once, when the node listens. */
  engine?: (given: EngineContext) => Promise<ServedEngine>;
  /** A step that takes longer ends the engine's process, which starts again; 0 waits forever. @default 120_000 */
  stepTimeoutMs?: number;
}

/** What another engine gets to know of the node that it is for. */
export interface EngineContext {
  modelPath: string;
  log: Logger;
  /** As given; absent is the engine's own default. */
  slots?: number;
  maxQueue?: number;
}

/** Why a node did not start, in one line that an operator can act on. */
export class NodeStartError extends Error {
  override name = 'NodeStartError';
}

/**
 * Starts a node: listens, loads the model, and settles when it takes requests.
 *
 * @throws NodeStartError when the model file is missing or the port is in use, and what loading fails with
 * @example
 * ```ts
 * const node = await startNode({ token: process.env.HUOZI_NODE_TOKEN, port: 0 });
 * node.url; // 'http://127.0.0.1:41234'
 * await node.drain(30_000);
 * ```
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const all = { ...nodeDefaults, port: 0, log: pino({ level: 'silent' }), ...options };
  if (!all.token) throw new NodeStartError('a node needs a token');
  const { mtimeMs } = await stat(all.modelPath).catch(() => {
    throw new NodeStartError(`there is no model file ${all.modelPath}`);
  });
  try {
    const { engine, slots, maxQueue } = options;
    const { modelPath, log } = all;
    const given = { modelPath, log, ...(slots && { slots }), ...(maxQueue !== undefined && { maxQueue }) };
    return await serveNode(() => (engine ? engine(given) : load(all)), {
      modelCreated: Math.floor(mtimeMs / 1000),
      ...all,
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const place = `${all.host}:${all.port}`;
    if (code === 'EADDRINUSE') throw new NodeStartError(`${place} is in use`, { cause: error });
    if (code === 'EACCES') throw new NodeStartError(`not allowed to listen on ${place}`, { cause: error });
    throw error;
  }
}

type AllOptions = NodeOptions & EngineOptions & NodeServerOptions;

/** What is left when the server's options are taken away is the engine's, and travels to its process as it is. */
function load({
  engine: _,
  engineProcess = true,
  stepTimeoutMs = 120_000,
  ...all
}: AllOptions): Promise<ServedEngine> {
  const { token, host, port, name, modelCreated, log, edge, publicUrl, ...rest } = all;
  const { pingMs, maxBufferedBytes, requestTimeoutMs, closeMs, retainMs, maxRetained, ...engine } = rest;
  return engineProcess ? startEngineProcess(engine, { log, stepTimeoutMs }) : loadEngine(engine);
}
