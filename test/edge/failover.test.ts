/** Two nodes: what fails before the client has seen anything is tried on the other one. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chat, type Edge, startEdge, withoutPings } from './edge.ts';
import { accept, answer, refuse, type Script, ScriptedNode, streamOf, textEvent } from './scripted-node.ts';

let nodes: [ScriptedNode, ScriptedNode];
let edge: Edge;
beforeAll(async () => {
  nodes = [await new ScriptedNode().start(), await new ScriptedNode().start()];
  edge = await startEdge(nodes);
});
afterAll(async () => {
  await edge?.stop();
  await Promise.all((nodes ?? []).map((node) => node.stop()));
});
beforeEach(() => {
  for (const node of nodes) {
    node.script = answer('好');
    node.generations.length = 0;
  }
});

const asked = () => nodes.map((node) => node.generations.length);

/** The first node that is asked does this, the other one answers. */
function firstOneDoes(script: Script): void {
  for (const node of nodes)
    node.script = (generation) => (asked()[0]! + asked()[1]! > 1 ? answer('好') : script)(generation);
}

it('spreads requests over the nodes', async () => {
  for (let at = 0; at < 40; at++) {
    await (await edge.post(chat({ messages: [{ role: 'user', content: String(at) }] }))).text();
  }
  // Conversations have their homes by chance: all on one side would come once in 2³⁹ runs.
  expect(Math.min(...asked())).toBeGreaterThan(0);
});

describe.each([true, false])('stream: %s', (stream) => {
  const lost: [string, Script][] = [
    ['refuses with 503', refuse(503, { code: 'node_draining' })],
    ['refuses with 429', refuse(429, { code: 'queue_full' })],
    ['refuses the edge', refuse(401, {})],
    ['drops the connection', ({ response }) => response.socket!.resetAndDestroy()],
    [
      'accepts and is lost before its first event',
      (generation) => {
        accept(generation);
        setTimeout(() => generation.response.socket!.resetAndDestroy(), 150);
      },
    ],
  ];
  it.each(lost)('the first node %s: the other one answers', async (name, script) => {
    firstOneDoes(script);
    const response = await edge.post(chat({ stream }));
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(asked()).toEqual([1, 1]);
    const { request } = nodes.flatMap((node) => node.generations)[0]!;
    if (stream) expect(withoutPings(text)).toBe(streamOf(request, '好'));
    else expect(JSON.parse(text).choices[0].message.content).toBe('好');
    const lines = await edge.metered(request.events.id);
    expect(lines).toHaveLength(1);
    const accepted = name.startsWith('accepts');
    const moves = accepted ? { retries: 0, migrations: 1 } : { retries: 1, migrations: 0 };
    expect(lines[0]).toMatchObject({ completion_tokens: 1, source: 'stream', ...moves });
    // By then a node that had accepted was not lost yet.
    expect(response.headers.get('x-huozi-retries')).toBe(accepted ? null : '1');
    const [used] = await (await edge.admin('GET', `/usage?key=${edge.keyId}`)).body.data;
    expect(used[accepted ? 'migrations' : 'retries']).toBeGreaterThan(0);
  });

  it('both refuse: an error that can be tried again', async () => {
    for (const node of nodes) node.script = refuse(503, {}, { 'retry-after': '2' });
    const response = await edge.post(chat({ stream }));
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(await response.json()).toMatchObject({
      error: { code: 'no_node_available', type: 'server_error' },
    });
    expect(asked()).toEqual([1, 1]);
  });

  it('what a node’s engine cannot do is asked of another, and then refused by the client’s name for it', async () => {
    const lacks = refuse(400, { code: 'unsupported_parameter', param: 'sampling.dry', message: 'x' });
    firstOneDoes(lacks);
    expect((await edge.post(chat({ stream, dry_multiplier: 1 }))).status).toBe(200);
    expect(asked()).toEqual([1, 1]);
    for (const node of nodes) node.script = lacks;
    const response = await edge.post(chat({ stream, dry_multiplier: 1 }));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'dry_multiplier' } });
  });

  it('an error that another node would make as well is not tried again', async () => {
    for (const node of nodes) node.script = refuse(500, {});
    expect((await edge.post(chat({ stream }))).status).toBe(502);
    expect(asked()[0]! + asked()[1]!).toBe(1);
  });
});

describe.each([
  ['resets its connection', (response: ServerResponse) => response.socket!.resetAndDestroy()],
  ['ends without [DONE]', (response: ServerResponse) => response.end()],
  ['leaves half an event', (response: ServerResponse) => response.end('id: 2\n: ids 9')],
  [
    'says that its engine is lost',
    (response: ServerResponse) =>
      response.end(
        ': usage {"prompt_tokens":5,"completion_tokens":1,"reason":"error"}\ndata: {"error":{"message":"x","type":"server_error","param":null,"code":"engine_lost"}}\n\n',
      ),
  ],
])('a node that %s amid an answer', (_what, end) => {
  const half: Script = (generation) => {
    accept(generation);
    generation.response.write(textEvent(generation.request, 1, '半'));
    setTimeout(() => end(generation.response), 150);
  };

  it('is replaced by one that goes on after its tokens, in the same stream', async () => {
    firstOneDoes(half);
    const text = await (await edge.post(chat({ stream: true }))).text();
    const contents = [...text.matchAll(/"content":"(.*?)"/g)].map(([, content]) => content);
    expect(contents.join('')).toBe('半好');
    expect(text).toContain(': migrated\n\n');
    expect(text).not.toContain('"error"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    const [first, second] = nodes.flatMap((node) => node.generations.map(({ request }) => request));
    expect([first!.continue_ids, second!.continue_ids]).toContainEqual([101]);
    expect([first!.continue_ids, second!.continue_ids]).toContainEqual(undefined);
    expect(second!.sampling.seed).toBe(first!.sampling.seed);
  });

  it('is replaced as well where the answer comes in one piece', async () => {
    firstOneDoes(half);
    const body = (await (await edge.post(chat())).json()) as { choices: { message: { content: string } }[] };
    expect(body.choices[0]!.message.content).toBe('半好');
  });

  it('is replaced where the prompt is echoed, which is not told again', async () => {
    firstOneDoes(half);
    const request = { model: 'huozi', prompt: '问', echo: true, stream: true };
    const text = await (await edge.post(request, { path: '/v1/completions' })).text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    const ids = nodes.flatMap((node) =>
      node.generations.map(({ request: { continue_ids } }) => continue_ids),
    );
    expect(ids).toContainEqual([101]);
  });

  it('begins anew where two choices come in one piece', async () => {
    firstOneDoes(half);
    const whole = await edge.post(chat({ n: 2 }));
    expect(((await whole.json()) as { choices: object[] }).choices).toMatchObject([
      { message: { content: '好' }, finish_reason: 'stop' },
    ]);
    const ids = nodes.flatMap((node) =>
      node.generations.map(({ request: { continue_ids } }) => continue_ids),
    );
    expect(ids).toEqual([undefined, undefined]);
  });

  it('is not replaced where two choices were told at once', async () => {
    firstOneDoes(half);
    const text = await (await edge.post(chat({ stream: true, n: 2 }))).text();
    expect(text).toMatch(/"code":"(node_lost|upstream_error)"/);
    expect(text).not.toContain('[DONE]');
  });
});

it('a node that is not there at all: 503 with retry-after, and what was refused was not the model', async () => {
  const gone = await new ScriptedNode().start();
  const url = gone.url;
  await gone.stop();
  const alone = await startEdge([gone], [url]);
  try {
    const response = await alone.post(chat());
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await response.json()).toMatchObject({ error: { code: 'no_node_available' } });
    const models = await fetch(`${alone.url}/v1/models`, {
      headers: { authorization: `Bearer ${alone.apiKey}` },
    });
    expect(models.status).toBe(503);
  } finally {
    await alone.stop();
  }
});

it.each(['ftp://node', 'http://user:password@node', 'http://node/?a=b', 'node:8790'])(
  'an address that is none is the operator’s to mend: %j',
  async (url) => {
    const misconfigured = await startEdge(nodes, [url]);
    try {
      const response = await misconfigured.post(chat());
      expect(response.status).toBe(500);
      expect(response.headers.get('x-should-retry')).toBe('false');
      expect(await response.json()).toMatchObject({ error: { code: 'edge_misconfigured' } });
    } finally {
      await misconfigured.stop();
    }
  },
);
