/** Runs a node inside a program of your own; `huozi-gpu-backend serve` is a command line around it. */
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { loadEngine } from './engine/engine.ts';
import { type PlacementOptions, placementKeys } from './engine/placement.ts';
import type { EngineOptions } from './engine/types.ts';
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
    Pick<NodeServerOptions, 'token'> {}

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
  const { modelPath, slots, contextTokens, batchTokens, threads, threadsBatch, ...rest } = {
    ...nodeDefaults,
    port: 0,
    log: pino({ level: 'silent' }),
    ...options,
  };
  const { maxQueue, maxQueueTokens, prefixCache, ...server } = rest;
  if (!server.token) throw new NodeStartError('a node needs a token');
  await access(modelPath).catch(() => {
    throw new NodeStartError(`there is no model file ${modelPath}`);
  });
  const engine: EngineOptions = {
    modelPath,
    slots,
    contextTokens,
    batchTokens,
    ...(threads === undefined ? {} : { threads }),
    ...(threadsBatch === undefined ? {} : { threadsBatch }),
    ...placementOf(options),
    ...(maxQueue === undefined ? {} : { maxQueue }),
    ...(maxQueueTokens === undefined ? {} : { maxQueueTokens }),
    ...(prefixCache === undefined ? {} : { prefixCache }),
  };
  try {
    return await serveNode(() => loadEngine(engine), server);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const place = `${server.host}:${server.port}`;
    if (code === 'EADDRINUSE') throw new NodeStartError(`${place} is in use`, { cause: error });
    if (code === 'EACCES') throw new NodeStartError(`not allowed to listen on ${place}`, { cause: error });
    throw error;
  }
}

function placementOf(options: PlacementOptions): PlacementOptions {
  return Object.fromEntries(
    placementKeys.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]),
  );
}
