/**
 * A Next.js route, `app/api/chat/completions/route.ts`: pages of your site chat through it, and the key stays here. It
 * takes Web requests and gives Web responses, so any other framework will do.
 */
import { Huozi, HuoziError } from 'huozi';

const huozi = new Huozi({
  baseURL: process.env.HUOZI_BASE_URL ?? 'http://127.0.0.1:8787/v1',
  apiKey: () => process.env.HUOZI_API_KEY ?? '',
});

export async function POST(request: Request): Promise<Response> {
  try {
    const { messages } = await request.json();
    // What a page may choose is listed here: the model, the length and all else are yours.
    const stream = await huozi.chat.completions.create(
      { model: 'huozi', messages, max_tokens: 512, temperature: 0, stream: true },
      // A reader who leaves stops the node.
      { signal: request.signal },
    );
    return new Response(stream.toReadableStream(), {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
    });
  } catch (error) {
    if (!HuoziError.isInstance(error))
      return Response.json({ error: { message: 'bad request' } }, { status: 400 });
    const { message, type, code, param, status = 502 } = error;
    return Response.json({ error: { message, type, code, param } }, { status });
  }
}
