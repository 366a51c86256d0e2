import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ServedEngine } from '../engine/types.ts';
import { announce } from './announce.ts';
import { createApp, type NodeState, nodeInfo } from './app.ts';
import { unavailable } from './errors.ts';
import { Generations, type GenerationsOptions } from './generations.ts';
import { HeldPrefixes } from './held-prefixes.ts';
import { createHttpServer } from './http-server.ts';
import { NodeMetrics } from './metrics.ts';

export interface NodeServerOptions extends GenerationsOptions {
  /** The bearer token that the edge shares with this node. */
  token: string;
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** Served name, as clients ask for it. */
  name: string;
  log: Logger;
  /** When the model's file was last written, unix seconds. */
  modelCreated?: number;
  /** Base URL of an edge that shall know of this node. Absent: the edge has it in its configuration. */
  edge?: string;
  /** Where that edge reaches it. @default where it listens */
  publicUrl?: string;
  /** A comment goes out on a stream after so long without an event, milliseconds. */
  pingMs?: number;
  /** Bytes that may wait for a client that does not read, before its connection is closed. */
  maxBufferedBytes?: number;
  /** How long a request may take to arrive whole, milliseconds. @default 60_000 */
  requestTimeoutMs?: number;
  /**
   * How long the engine gets to close, milliseconds: it may have cached prefixes to write; one in a process
   * of its own is killed before.
   * @default 35,000
   */
  closeMs?: number;
}

export interface RunningNode {
  /** Where it listens, e.g. `http://127.0.0.1:8790`. */
  readonly url: string;
  readonly engine: ServedEngine;
  /**
   * Refuses new work, lets running answers end for up to `timeoutMs`, cancels the rest, then stops listening
   * and frees the model. Settles when all of that is done; a second call joins the first.
   */
  drain(timeoutMs: number): Promise<void>;
  /** `drain(0)`. */
  close(): Promise<void>;
}

/** How long a cancelled generation gets to reach its end, and a closed connection its last bytes. */
const graceMs = 2_000;

/**
 * Listens first, so that a used port fails at once and `/healthz` answers while the model loads; then loads.
 * @throws what `listen` and `load` fail with, after which nothing is left open
 */
export async function serveNode(
  load: () => Promise<ServedEngine>,
  options: NodeServerOptions,
): Promise<RunningNode> {
  const { token, name, log, pingMs = 2_000, maxBufferedBytes = 1024 * 1024, closeMs = 35_000 } = options;
  const generations = new Generations(options);
  const metrics = new NodeMetrics();
  let engine: ServedEngine | undefined;
  let draining: Promise<void> | undefined;

  const loadedEngine = () => {
    if (!engine) throw unavailable('loading');
    return engine;
  };
  const state: NodeState = {
    name,
    token,
    log,
    modelCreated: options.modelCreated,
    stream: { pingMs, maxBufferedBytes },
    generations,
    prefixes: new HeldPrefixes(),
    metrics,
    get ready() {
      return engine !== undefined && engine.state !== 'restarting' && !draining;
    },
    get draining() {
      return draining !== undefined;
    },
    loadedEngine,
    requireEngine() {
      if (draining) throw unavailable('draining');
      return loadedEngine();
    },
  };

  const server = createHttpServer({
    fetch: createApp(state).fetch,
    requestTimeoutMs: options.requestTimeoutMs ?? 60_000,
    onRefusal({ status, body: { error } }) {
      metrics.refused(status, error.code);
      log.info({ status, code: error.code }, 'request refused');
    },
  });
  const sending = new Set<ServerResponse>();
  server.on('request', (_, response: ServerResponse) => {
    sending.add(response);
    response.on('close', () => sending.delete(response));
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const url = addressUrl(server.address() as AddressInfo);
  log.info({ url }, 'listening');

  try {
    const begin = performance.now();
    engine = metrics.watch(await load());
    log.info({ ...engine.info, ms: Math.round(performance.now() - begin) }, 'model loaded');
  } catch (error) {
    await stop(server, sending);
    throw error;
  }

  const { edge, publicUrl = url } = options;
  const announcement = edge && announce({ edge, url: publicUrl, token, info: () => nodeInfo(state), log });

  const drain = async (loaded: ServedEngine, timeoutMs: number) => {
    log.info({ running: generations.size }, 'draining');
    if (announcement) void announcement.beat();
    await settledWithin(generations.idle(), timeoutMs);
    if (generations.size > 0) {
      log.warn({ running: generations.size }, 'cancelling what still runs');
      generations.cancelAll('drain');
      await settledWithin(generations.idle(), graceMs);
    }
    if (announcement) await announcement.stop();
    await stop(server, sending);
    if (await settledWithin(loaded.close(), closeMs)) log.info('closed');
    else log.error('the engine did not close in time');
  };
  const loaded = engine;
  const drainOnce = (timeoutMs: number) => {
    draining ??= drain(loaded, timeoutMs);
    return draining;
  };
  return { url, engine: loaded, drain: drainOnce, close: () => drainOnce(0) };
}

function addressUrl({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** Lets responses that are being sent reach their end, then closes every connection. */
async function stop(server: Server, sending: Set<ServerResponse>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await settledWithin(Promise.all([...sending].map((response) => once(response, 'close'))), graceMs);
  // Not closeIdleConnections: a connection that has not carried a request yet is none of those.
  server.closeAllConnections();
  await closed;
}

/** @returns whether `promise` settled before `ms` were over */
async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(ms, false, { signal: timer.signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer.abort();
  }
}
