/** A Cloudflare Worker: `curl https://your-worker.example --data 背诵《静夜思》` gets the text as it comes. */
import { Huozi, HuoziError } from 'huozi';

interface Env {
  HUOZI_BASE_URL: string;
  /** A secret. */
  HUOZI_API_KEY: string;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const huozi = new Huozi({ baseURL: env.HUOZI_BASE_URL, apiKey: env.HUOZI_API_KEY });
    const content = await request.text();
    try {
      const stream = await huozi.chat.completions.create(
        { model: 'huozi', messages: [{ role: 'user', content }], temperature: 0, stream: true },
        { signal: request.signal },
      );
      const encoder = new TextEncoder();
      const text = stream.textStream[Symbol.asyncIterator]();
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const { done, value } = await text.next();
          if (done) controller.close();
          else controller.enqueue(encoder.encode(value));
        },
        cancel: () => stream.abort(),
      });
      return new Response(body, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
    } catch (error) {
      if (!HuoziError.isInstance(error)) throw error;
      return new Response(`${error.message}\n`, { status: error.status ?? 502 });
    }
  },
};
