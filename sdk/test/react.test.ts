/** In a DOM, rendered by React itself. */
import { Window } from 'happy-dom';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Huozi } from '../src/index.ts';
import type { useChat as UseChat, UseChatOptions } from '../src/react/use-chat.ts';
import { chunk, events, last, usageChunk } from './answers.ts';
import { fakeFetch, sse } from './fake-fetch.ts';

const says = (text: string) =>
  sse([chunk({ content: text }), last, usageChunk].map((one) => `data: ${JSON.stringify(one)}\n\n`));

type Chat = ReturnType<typeof UseChat>;
let window: Window;
beforeEach(() => {
  window = new Window();
  vi.stubGlobal('window', window);
  vi.stubGlobal('document', window.document);
  vi.stubGlobal('navigator', window.navigator);
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await window.happyDOM.close();
});

interface PageProps {
  useIt: () => Chat;
  onRender: (chat: Chat, shown: string) => void;
}

function Page({ useIt, onRender }: PageProps): string {
  const chat = useIt();
  const shown = `${chat.status}: ${chat.messages.map(({ content }) => content).join(' | ')}`;
  onRender(chat, shown);
  return shown;
}

async function mounted(options: Partial<UseChatOptions>, ...answers: Parameters<typeof fakeFetch>) {
  const { act, createElement } = await import('react');
  const { createRoot } = await import('react-dom/client');
  const { useChat } = await import('../src/react/use-chat.ts');
  const fake = fakeFetch(...answers);
  const huozi = new Huozi({
    baseURL: '/v1',
    apiKey: 'k',
    dangerouslyAllowBrowser: true,
    fetch: fake.fetch,
    maxRetries: 0,
  });
  const chat = { now: undefined as unknown as Chat };
  /** What was on the page, whenever it changed. */
  const seen: string[] = [];
  const page: PageProps = {
    useIt: () => useChat({ huozi, model: 'huozi', ...options }),
    onRender: (now, shown) => {
      chat.now = now;
      if (seen.at(-1) !== shown) seen.push(shown);
    },
  };
  const container = window.document.createElement('div');
  const root = createRoot(container as unknown as Element);
  await act(async () => root.render(createElement(Page, page)));
  return { act, chat, fake, seen, container, unmount: () => act(async () => root.unmount()) };
}

test('renders the question, the answer as it comes, and the whole', async () => {
  const { act, chat, seen, container } = await mounted({}, sse());
  await act(async () => chat.now.send('问'));
  expect(container.textContent).toBe('ready: 问 | 你好，世界');
  expect(seen[0]).toBe('ready: ');
  expect(seen).toContain('waiting: 问');
  expect(chat.now.messages.at(-1)).toEqual({ role: 'assistant', content: '你好，世界' });
});

test('an error keeps what came; regenerate asks the same again', async () => {
  const { act, chat, fake } = await mounted({}, sse(events.slice(0, 1)), says('好'));
  await act(async () => chat.now.send('问'));
  expect(chat.now).toMatchObject({ status: 'error', error: { name: 'TruncatedError' } });
  expect(chat.now.messages.map(({ content }) => content)).toEqual(['问', '你好']);
  await act(async () => chat.now.regenerate());
  expect(chat.now).toMatchObject({ status: 'ready', error: undefined });
  expect(chat.now.messages.map(({ content }) => content)).toEqual(['问', '好']);
  expect((fake.requests[1]!.body as { messages: unknown[] }).messages).toHaveLength(1);
  await act(async () => chat.now.regenerate());
  expect((fake.requests[2]!.body as { messages: unknown[] }).messages).toHaveLength(1);
  expect(chat.now.messages).toHaveLength(2);
});

test('stop is no error, closes the connection, and the next turn goes on from what was whole', async () => {
  const { act, chat, fake } = await mounted({}, sse(events.slice(0, 1), { hang: true }), says('好'));
  await act(async () => void chat.now.send('一'));
  await vi.waitFor(() => expect(chat.now.status).toBe('streaming'));
  await act(async () => chat.now.stop());
  expect(fake.requests[0]!.signal.aborted).toBe(true);
  expect(chat.now).toMatchObject({ status: 'ready', error: undefined });
  await act(async () => chat.now.send('二'));
  expect(chat.now.messages.map(({ content }) => content)).toEqual(['二', '好']);
});

test('a component that goes takes its connection along', async () => {
  const { act, chat, fake, unmount } = await mounted({}, sse(events.slice(0, 1), { hang: true }));
  await act(async () => void chat.now.send('一'));
  await unmount();
  expect(fake.requests[0]!.signal.aborted).toBe(true);
});
