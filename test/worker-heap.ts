/**
 * V8's heap in workerd, through its inspector. What V8 has not collected yet looks like a leak from outside: it collects
 * seldom there, since little of what an answer takes is JavaScript's, and the process grew by some 400 MiB before.
 */
import { fetch, type WebSocket } from 'miniflare';
import type { WorkerHost } from '../src/dev/worker-host.ts';

/** Of the isolate in which the worker and its Durable Objects live; the others are miniflare's, and idle. */
export class WorkerHeap {
  readonly #url: string;
  readonly #socket: WebSocket;
  readonly #asked: { resolve(result: unknown): void; reject(error: Error): void }[] = [];

  private constructor(url: string, socket: WebSocket) {
    this.#url = url;
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result, error } = JSON.parse(String(data)) as {
        id: number;
        result?: unknown;
        error?: { message: string };
      };
      if (error) this.#asked[id]?.reject(new Error(error.message));
      else this.#asked[id]?.resolve(result);
    });
    socket.addEventListener('close', () => {
      for (const { reject } of this.#asked) reject(new Error('the inspector is gone'));
    });
    socket.accept();
  }

  /** @param worker is `inspected` */
  static async of({ url, inspector }: WorkerHost): Promise<WorkerHeap> {
    const { webSocket } = await fetch(`http://${inspector!.host}/core:user:edge`, {
      headers: { upgrade: 'websocket' },
    });
    return new WorkerHeap(url, webSocket!);
  }

  /** Collects all that can be; gives the MiB that are left in use. */
  async collect(): Promise<number> {
    let over = false;
    const collected = this.#ask('HeapProfiler.collectGarbage').finally(() => {
      over = true;
    });
    // V8 makes a task of it, which workerd runs with the isolate's next request.
    while (!over) await fetch(`${this.#url}/healthz`).then((response) => response.text());
    await collected;
    const { usedSize } = (await this.#ask('Runtime.getHeapUsage')) as { usedSize: number };
    return usedSize / 2 ** 20;
  }

  close(): void {
    this.#socket.close();
  }

  #ask(method: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#socket.send(JSON.stringify({ id: this.#asked.length, method }));
      this.#asked.push({ resolve, reject });
    });
  }
}
