/** In a DOM, rendered by React itself. */
import { Window } from 'happy-dom';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Huozi } from '../src/index.ts';
import type { useChat as UseChat, UseChatOptions } from '../src/react/use-chat.ts';
import { chunk, events, last, usageChunk } from './answers.ts';
import { fakeFetch, json, sse } from './fake-fetch.ts';

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

describe('a chat with an id', () => {
  /** A storage, as a browser has one for all its pages. */
  function storageOf(): Storage {
    const { localStorage } = new Window();
    return localStorage as unknown as Storage;
  }
  /** What a page that is loaded knows of the one before: nothing but the storage. */
  const reload = () => vi.resetModules();
  const shown = (chat: { now: Chat }) => chat.now.messages.map(({ content }) => content);

  const kept = (pieces: string[], hang = false) => {
    const answer = sse(pieces, { hang });
    return () => {
      const response = answer();
      response.headers.set('x-huozi-stream', '/v1/streams/s-1');
      return response;
    };
  };
  const numbered = events.map((event, at) => `id: ${at + 1}\n${event}`);

  test('is there again after a reload, with its history', async () => {
    const storage = storageOf();
    const { act, chat } = await mounted({ id: 'a', storage }, says('一'));
    await act(async () => chat.now.send('问'));
    reload();
    const { act: actAgain, chat: again, fake } = await mounted({ id: 'a', storage }, says('二'));
    expect(shown(again)).toEqual(['问', '一']);
    expect(fake.requests).toHaveLength(0);
    await actAgain(async () => again.now.send('再问'));
    expect((fake.requests[0]!.body as { messages: unknown[] }).messages).toHaveLength(3);
    const { chat: other } = await mounted({ id: 'b', storage }, says('三'));
    expect(shown(other)).toEqual([]);
  });

  test('takes up the answer that was under way, from its beginning', async () => {
    const storage = storageOf();
    const { act, chat } = await mounted({ id: 'a', storage }, kept(numbered.slice(0, 1), true));
    await act(async () => void chat.now.send('问'));
    await vi.waitFor(() => expect(shown(chat)).toEqual(['问', '你好']));
    reload();
    const { chat: again, fake } = await mounted({ id: 'a', storage }, kept(numbered));
    await vi.waitFor(() => expect(again.now.status).toBe('ready'));
    expect(shown(again)).toEqual(['问', '你好，世界']);
    expect(fake.requests.map(({ url }) => url)).toEqual(['/v1/streams/s-1']);
    // It is whole, and part of what the next turn builds on.
    reload();
    const { act: actAgain, chat: third, fake: next } = await mounted({ id: 'a', storage }, says('好'));
    await actAgain(async () => third.now.send('再问'));
    expect((next.requests[0]!.body as { messages: unknown[] }).messages).toHaveLength(3);
  });

  test('takes up another answer to the last question in the place of the first', async () => {
    const storage = storageOf();
    const { act, chat } = await mounted({ id: 'a', storage }, says('一'), kept(numbered.slice(0, 1), true));
    await act(async () => chat.now.send('问'));
    await act(async () => void chat.now.regenerate());
    await vi.waitFor(() => expect(shown(chat)).toEqual(['问', '你好']));
    reload();
    const { chat: again } = await mounted({ id: 'a', storage }, kept(numbered));
    await vi.waitFor(() => expect(again.now.status).toBe('ready'));
    expect(shown(again)).toEqual(['问', '你好，世界']);
  });

  test('says when the edge no longer has the answer; the question can be asked again', async () => {
    const storage = storageOf();
    const { act, chat } = await mounted({ id: 'a', storage }, kept(numbered.slice(0, 1), true));
    await act(async () => void chat.now.send('问'));
    await vi.waitFor(() => expect(chat.now.status).toBe('streaming'));
    reload();
    const gone = json({ error: { message: 'm', code: 'stream_not_found' } }, { status: 404 });
    const { act: actAgain, chat: again, fake } = await mounted({ id: 'a', storage }, gone, says('好'));
    await vi.waitFor(() => expect(again.now.status).toBe('error'));
    expect(again.now.error).toMatchObject({ code: 'stream_not_found' });
    await actAgain(async () => again.now.regenerate());
    expect(shown(again)).toEqual(['问', '好']);
    expect(fake.requests).toHaveLength(2);
    reload();
    const { fake: third } = await mounted({ id: 'a', storage }, gone);
    expect(third.requests).toHaveLength(0);
  });

  test('reads on when its component goes, and is found there when it comes back', async () => {
    const storage = storageOf();
    const { act, chat, fake, unmount } = await mounted(
      { id: 'a', storage },
      kept(numbered.slice(0, 1), true),
    );
    await act(async () => void chat.now.send('问'));
    await vi.waitFor(() => expect(chat.now.status).toBe('streaming'));
    await unmount();
    expect(fake.requests[0]!.signal.aborted).toBe(false);
    const { act: actAgain, chat: back, fake: none } = await mounted({ id: 'a', storage });
    expect(shown(back)).toEqual(['问', '你好']);
    expect(none.requests).toHaveLength(0);
    await actAgain(async () => back.now.stop());
    expect(fake.requests[0]!.signal.aborted).toBe(true);
    expect(fake.requests[1]!.url).toBe('/v1/streams/s-1');
    // A stop is kept as one, too.
    reload();
    const { chat: again, fake: after } = await mounted({ id: 'a', storage });
    expect([again.now.status, shown(again)]).toEqual(['ready', ['问', '你好']]);
    expect(after.requests).toHaveLength(0);
  });

  test.each([
    ['spoilt', { getItem: () => '{"history":5', setItem: () => {} }],
    [
      'full',
      {
        getItem: () => null,
        setItem: () => {
          throw new Error('QuotaExceededError');
        },
      },
    ],
  ])('goes on where the storage is %s', async (_, storage) => {
    const { act, chat } = await mounted({ id: 'a', storage }, says('好'));
    await act(async () => chat.now.send('问'));
    expect(shown(chat)).toEqual(['问', '好']);
  });
});

test('a component that goes takes its connection along', async () => {
  const { act, chat, fake, unmount } = await mounted({}, sse(events.slice(0, 1), { hang: true }));
  await act(async () => void chat.now.send('一'));
  await unmount();
  expect(fake.requests[0]!.signal.aborted).toBe(true);
});
