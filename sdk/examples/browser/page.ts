/** A page without a framework. It talks to a route of its own site (../nextjs/route.ts), which has the key. */
import { type ChatStream, Huozi, HuoziError } from 'huozi';

// The route takes no key; a cookie of your site's can say who asks.
const huozi = new Huozi({ baseURL: '/api', apiKey: () => 'none', resumable: false });

const form = document.querySelector<HTMLFormElement>('#ask')!;
const stop = document.querySelector<HTMLButtonElement>('#stop')!;
const answer = document.querySelector<HTMLElement>('#answer')!;
let stream: ChatStream | undefined;

form.onsubmit = async (event) => {
  event.preventDefault();
  stream?.abort();
  const content = String(new FormData(form).get('text'));
  answer.textContent = '';
  stop.hidden = false;
  try {
    stream = await huozi.chat.completions.create({
      model: 'huozi',
      messages: [{ role: 'user', content }],
      stream: true,
    });
    // As text: what a model writes must not become markup.
    for await (const text of stream.textStream) answer.append(text);
  } catch (error) {
    if (!HuoziError.isInstance(error)) throw error;
    if (error.name !== 'AbortError') answer.append(`\n(${error.message})`);
  } finally {
    stop.hidden = true;
  }
};
stop.onclick = () => stream?.abort();
