/** The terminal as its users meet it: the real program, in pipes and in a pseudo-terminal, before the real stack. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { chunk } from '../../sdk/test/answers.ts';
import { hostileServer } from '../../sdk/test/hostile-server.ts';
import { type Stack, startStack } from '../stack.ts';

// Each command is a process, and a busy machine takes seconds to start one.
vi.setConfig({ testTimeout: 120_000 });

const main = fileURLToPath(new URL('../../sdk/src/cli/main.ts', import.meta.url));
const tsx = import.meta.resolve('tsx');
const node = ['--conditions=huozi-source', '--import', tsx, main];

let stack: Stack;
let folder: string;
beforeAll(async () => {
  stack = await startStack();
  folder = await mkdtemp(join(tmpdir(), 'huozi-terminal-'));
});
afterAll(async () => {
  await stack?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const environment = (more: Record<string, string> = {}) => ({
  PATH: process.env.PATH,
  HOME: folder,
  TERM: 'xterm',
  HUOZI_BASE_URL: stack.baseURL,
  HUOZI_API_KEY: stack.apiKey,
  ...more,
});

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const ended: Ended = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    ended.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    ended.err += text;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ ...ended, code })));
}

function huozi(args: string[], { input = '', env = {} as Record<string, string> } = {}): Promise<Ended> {
  const child = spawn(process.execPath, [...node, ...args], { env: environment(env), cwd: folder });
  child.stdin.end(input);
  return ended(child);
}

const operator = (args: string[]) => huozi(args, { env: { HUOZI_ADMIN_TOKEN: stack.adminToken } });

describe('ask', () => {
  it('answers, and adds what is piped in to the question', async () => {
    expect(await huozi(['ask', '-t', '0', '背诵《静夜思》'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('床前明月光'),
      err: '',
    });
    const { out } = await huozi(['ask', '--temperature', '0'], { input: '背诵《静夜思》\n' });
    expect(out).toContain('床前明月光');
  });

  it('--json: the whole answer', async () => {
    const { out } = await huozi(['ask', '-t', '0', '--json', '从1数到10']);
    const completion = JSON.parse(out);
    expect(completion.choices[0]).toMatchObject({ finish_reason: 'stop' });
    expect(completion.usage.completion_tokens).toBeGreaterThan(5);
  });

  it('tells wrong use (2) from failure (1), and never the key', async () => {
    expect(await huozi(['ask'])).toMatchObject({ code: 2, out: '' });
    expect(await huozi(['sing'])).toMatchObject({ code: 2 });
    expect(await huozi(['ask', '--warmth', '3', '你好'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('--warmth'),
    });
    expect(await huozi(['ask', '-m', 'gpt', '你好'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('offers: huozi'),
    });
    const refused = await huozi(['ask', '--json', '你好'], { env: { HUOZI_API_KEY: `${stack.apiKey}x` } });
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.err)).toMatchObject({ error: { status: 401, requestId: expect.any(String) } });
    expect(refused.err).not.toContain(stack.apiKey);
    expect(await huozi(['ask', '你好'], { env: { HUOZI_API_KEY: '' } })).toMatchObject({
      code: 1,
      err: expect.stringContaining('HUOZI_API_KEY'),
    });
  });
});

describe('chat', () => {
  it('from a pipe: turns, several lines as one, retry, save and load', async () => {
    const saved = join(folder, 'chat.json');
    const input = [
      '/system 你是一个智能助手',
      '从1数到10\\',
      '',
      '"""',
      '背诵',
      '《静夜思》',
      '"""',
      '/retry',
      `/save ${saved}`,
      '/save ~/again.json',
    ];
    const { code, out } = await huozi(['chat', '-t', '0', '--max-tokens', '60'], { input: input.join('\n') });
    expect(code).toBe(0);
    expect(out).toContain('1、2、3');
    const kept = JSON.parse(await readFile(saved, 'utf8'));
    // Its own home, as in a shell.
    expect(JSON.parse(await readFile(join(folder, 'again.json'), 'utf8'))).toEqual(kept);
    expect(kept.system).toBe('你是一个智能助手');
    expect(
      kept.history.map(({ role, content }: { role: string; content: string }) =>
        role === 'user' ? content : role,
      ),
    ).toEqual(['从1数到10\n', 'assistant', '背诵\n《静夜思》', 'assistant']);
    const again = await huozi(['chat', '--load', saved], { input: '/history\n/undo\n/history\n/sing\n' });
    expect(again.out.match(/智能助手|从1数到10/g)).toHaveLength(2);
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('/sing is no command') });
  });

  it('--json: a line an answer', async () => {
    const { out } = await huozi(['chat', '--json', '-t', '0'], { input: '从1数到10\n背诵《静夜思》\n' });
    const answers = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers.map(({ object }) => object)).toEqual(['chat.completion', 'chat.completion']);
  });
});

/** `script` gives the program a terminal; it belongs to Debian's and macOS's base system. */
class Terminal {
  screen = '';
  readonly ended: Promise<Ended>;
  #child: ChildProcessWithoutNullStreams;

  constructor(args: string[], env: Record<string, string> = {}) {
    // `exec`: a shell between would make its own exit code of an interrupt.
    const command = ['exec', process.execPath, ...node, ...args]
      .map((word) => (word === 'exec' ? word : `'${word}'`))
      .join(' ');
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], { env: environment(env), cwd: folder });
    this.#child.stdout.setEncoding('utf8').on('data', (text) => {
      this.screen += text;
    });
    this.ended = ended(this.#child);
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  /** Waits for what comes after that which was seen before. */
  async sees(text: string): Promise<void> {
    const deadline = Date.now() + 20_000;
    while (!this.screen.includes(text)) {
      if (Date.now() > deadline) throw new Error(`${text} did not come, but: ${JSON.stringify(this.screen)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.screen = this.screen.slice(this.screen.indexOf(text) + text.length);
  }
}

describe('chat in a terminal', () => {
  it('asks, answers with figures, remembers what was typed, and leaves at Ctrl-D', async () => {
    const terminal = new Terminal(['chat', '-t', '0']);
    await terminal.sees('> ');
    terminal.type('背诵《静夜思》\r');
    await terminal.sees('床前明月光');
    await terminal.sees('tok/s');
    await terminal.sees('> ');
    terminal.type('\x1b[A');
    await terminal.sees('背诵《静夜思》');
    terminal.type('\x03');
    await terminal.sees('> ');
    terminal.type('/model\r');
    await terminal.sees('huozi *');
    await terminal.sees('> ');
    terminal.type('\x04');
    expect((await terminal.ended).code).toBe(0);
    const kept = await readFile(join(folder, '.local/state/huozi/history.json'), 'utf8');
    expect(JSON.parse(kept)).toContain('背诵《静夜思》');
  });

  it('a paste is one message, also where its last line has no end', async () => {
    const terminal = new Terminal(['chat', '-t', '0', '--no-history']);
    await terminal.sees('> ');
    terminal.type('背诵\r《静夜思》');
    // It is looked at before it is sent, and can be changed.
    await terminal.sees('… ');
    terminal.type('\r');
    await terminal.sees('tok/s');
    await terminal.sees('> ');
    terminal.type('/history\r');
    await terminal.sees('背诵\r\n《静夜思》');
    terminal.type('\x04');
    await terminal.ended;
  });

  it('without colour where NO_COLOR says so', async () => {
    const terminal = new Terminal(['chat', '--no-history'], { NO_COLOR: '1' });
    await terminal.sees('> ');
    terminal.type('/exit\r');
    // The cursor is moved for editing; nothing is coloured.
    expect((await terminal.ended).out.split('\x1b').filter((code) => /^\[\d+m/.test(code))).toEqual([]);
  });

  it('Ctrl-C stops the answer, whose connection is closed; a second one leaves', async () => {
    const server = await hostileServer(async ({ begin, event, response, body }) => {
      if (!body) {
        response.setHeader('content-type', 'application/json');
        response.end('{"object":"list","data":[{"id":"huozi"}]}');
        return;
      }
      begin();
      await event(chunk({ role: 'assistant', content: '从前\x1b]0;title\x07有座山' }));
    });
    const terminal = new Terminal(['chat', '--no-history'], { HUOZI_BASE_URL: server.baseURL });
    await terminal.sees('> ');
    terminal.type('讲故事\r');
    // What would have named the window is left out.
    await terminal.sees('从前]0;title有座山');
    terminal.type('\x03');
    await terminal.sees('stopped');
    await server.tries.find(({ body }) => body)!.left;
    await terminal.sees('> ');
    terminal.type('\x03');
    expect((await terminal.ended).code).toBe(0);
    await server.close();
  });
});

describe('batch', () => {
  const line = (id: number, body: object) =>
    JSON.stringify({
      custom_id: `${id}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: {
        model: 'huozi',
        temperature: 0,
        messages: [{ role: 'user', content: `从${id}数到10` }],
        ...body,
      },
    });
  const results = async (path: string) =>
    (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((one) => JSON.parse(one));

  it('answers lines, tells failures apart, goes on where it was killed, and asks nothing twice', async () => {
    const input = join(folder, 'in.jsonl');
    const output = join(folder, 'out.jsonl');
    const count = 60;
    await writeFile(input, Array.from({ length: count }, (_, id) => line(id, { max_tokens: 40 })).join('\n'));
    const args = ['batch', input, output, '--concurrency', '2'];

    const child = spawn(process.execPath, [...node, ...args], { env: environment(), cwd: folder });
    const killed = ended(child);
    for (;;) {
      const text = await readFile(output, 'utf8').catch(() => '');
      if (text.split('\n').length > 3) break;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill('SIGKILL');
    await killed;
    const before = (await readFile(output, 'utf8')).split('\n').length - 1;
    expect(before).toBeLessThan(count);

    const { code, out } = await huozi([...args, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      total: count,
      answered: count,
      failed: 0,
      left: 0,
      already: before,
    });
    const lines = await results(output);
    expect(lines.map(({ custom_id }) => custom_id).sort()).toEqual(
      Array.from({ length: count }, (_, id) => `${id}`).sort(),
    );
    for (const { response, error } of lines) {
      expect(error).toBeNull();
      expect(response).toMatchObject({ status_code: 200, request_id: expect.any(String) });
      expect(response.body.choices[0].message.content).not.toBe('');
    }
    const idle = await huozi([...args, '--json']);
    expect(JSON.parse(idle.out)).toMatchObject({ already: count, tokens: 0 });
  });

  it('a line that the edge refuses is a line of the results, and the exit code 1', async () => {
    const input = join(folder, 'bad.jsonl');
    const output = join(folder, 'bad-out.jsonl');
    await writeFile(input, [line(1, { max_tokens: 4 }), line(2, { temperature: 99 })].join('\n'));
    expect(await huozi(['batch', input, output])).toMatchObject({
      code: 1,
      out: expect.stringContaining('1 failed'),
    });
    const refused = (await results(output)).find(({ custom_id }) => custom_id === '2');
    expect(refused.response).toMatchObject({ status_code: 400, body: { error: { param: 'temperature' } } });
  });
});

describe('for operators', () => {
  it('keys: made, used, changed, rotated, revoked', async () => {
    const made = JSON.parse((await operator(['keys', 'create', '张三', '--rpm', '100', '--json'])).out);
    expect(made).toMatchObject({
      name: '张三',
      limits: { requests_per_minute: 100 },
      key: expect.any(String),
    });
    expect((await huozi(['ask', '你好'], { env: { HUOZI_API_KEY: made.key } })).code).toBe(0);

    const listed = (await operator(['keys', 'list'])).out;
    expect(listed).toMatch(/^id +name +state +limits +made$/m);
    expect(listed).toMatch(new RegExp(`^${made.id} +张三 +open +rpm 100 `, 'm'));
    const changed = await operator(['keys', 'update', made.id, '--rpm', 'none', '--tpm', '900', '--json']);
    expect(JSON.parse(changed.out).limits).toEqual({ tokens_per_minute: 900 });
    const rotated = JSON.parse((await operator(['keys', 'rotate', made.id, '--json'])).out);
    expect(rotated.key).not.toBe(made.key);
    expect((await operator(['keys', 'revoke', made.id])).out).toContain('revoked');
    expect((await huozi(['ask', '你好'], { env: { HUOZI_API_KEY: rotated.key } })).code).toBe(1);
    expect(await operator(['keys', 'show', 'nobody'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('404'),
    });
  });

  it('nodes and usage; without the token only one’s own', async () => {
    const nodes = await operator(['nodes']);
    expect(nodes.code).toBe(0);
    expect(nodes.out).toContain(stack.node.url);
    expect(await huozi(['nodes'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('HUOZI_ADMIN_TOKEN'),
    });
    const own = JSON.parse((await huozi(['usage', '--json'])).out.trim().split('\n')[0]!);
    expect(own).toMatchObject({ model: 'huozi', requests: expect.any(Number) });
    // A key's object tells the operator's directory some time after.
    await vi.waitFor(
      async () => expect((await operator(['usage', '--by', 'model'])).out).toMatch(/^huozi +\d+/m),
      { timeout: 60_000, interval: 500 },
    );
  });
});
