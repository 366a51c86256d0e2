/**
 * Runs the worker in workerd on this machine: what `npm start`, the end-to-end tests and the benchmarks use.
 * Not `wrangler dev`: its proxy adds 7 ms a request and leaks file descriptors on fast streams. This is the same
 * workerd, bundle and wrangler.toml, with the worker's socket opened directly.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { unstable_getMiniflareWorkerOptions } from 'wrangler';
import { buildPlayground } from '../playground/build.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface WorkerHostOptions {
  /** 0 takes a free one. */
  port: number;
  /** Vars and secrets; they override those of wrangler.toml. */
  bindings: Record<string, string>;
  /** Gets what the worker prints, line by line. */
  onLog?: (line: string) => void;
  /** Where Durable Objects keep their SQLite files; absent: a temporary folder that `stop` removes. */
  stateDirectory?: string;
  /** Opens V8's inspector on a free port. */
  inspected?: boolean;
}

export interface WorkerHost {
  url: string;
  /** Of V8's inspector; undefined where it was not asked for. */
  inspector: URL | undefined;
  stop(): Promise<void>;
}

/** Throws an error with code `ERR_ADDRESS_IN_USE` when `port` is taken. */
export async function startWorker(options: WorkerHostOptions): Promise<WorkerHost> {
  const [script] = await Promise.all([bundleWorker(), buildPlayground()]);
  const { workerOptions } = unstable_getMiniflareWorkerOptions(join(root, 'wrangler.toml'), undefined, {
    // Secrets come in `bindings` alone: what stands in somebody's .dev.vars is no business of a test. With an
    // empty list wrangler would read that file and say so; so it gets one that does not exist. The option
    // is missing from wrangler's types.
    envFiles: ['.no-env-file'],
  } as object);
  const temporary = options.stateDirectory ? undefined : await mkdtemp(join(tmpdir(), 'huozi-edge-'));
  // Miniflare would otherwise ask Cloudflare for a sample of `request.cf` at start.
  process.env.CLOUDFLARE_CF_FETCH_ENABLED = 'false';
  const miniflare = new Miniflare({
    ...workerOptions,
    name: 'edge',
    modules: [{ type: 'ESModule', path: 'index.mjs', contents: script }],
    bindings: { ...workerOptions.bindings, ...options.bindings },
    unsafeDirectSockets: [{ host: '127.0.0.1', port: options.port, entrypoint: 'direct' }],
    defaultPersistRoot: options.stateDirectory ?? temporary,
    // Else every request to a node passes through one more worker, of miniflare's own, which nobody deploys.
    stripCfConnectingIp: false,
    cf: false,
    ...(options.inspected && { inspectorPort: 0 }),
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      for (const stream of [stdout, stderr]) {
        createInterface({ input: stream }).on('line', (line) => options.onLog?.(line));
      }
    },
  } as ConstructorParameters<typeof Miniflare>[0]);
  const stop = async () => {
    await miniflare.dispose();
    if (temporary) await rm(temporary, { recursive: true, force: true });
  };
  try {
    await miniflare.ready;
    const url = await miniflare.unsafeGetDirectURL('edge', 'direct');
    const inspector = options.inspected ? await miniflare.getInspectorURL() : undefined;
    return { url: url.origin, inspector, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

async function bundleWorker(): Promise<string> {
  const result = await build({
    // Miniflare leads the default entrypoint of a worker with assets through two workers of its own, which Cloudflare
    // does not have in this place and every token would pass.
    stdin: {
      contents:
        "export * from './src/index.ts'; export { default, default as direct } from './src/index.ts';",
      resolveDir: root,
    },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['huozi-source', 'workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    write: false,
    logLevel: 'silent',
  });
  return result.outputFiles[0]!.text;
}
