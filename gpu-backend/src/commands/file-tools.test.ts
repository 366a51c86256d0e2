/** The commands around the file tools: their arguments, what they print, what they leave behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadEngine } from '../engine/engine.ts';
import { writeModel } from '../engine/testing/crafted-model.ts';
import { ask, start, tinyModel } from '../engine/testing/generate.ts';
import { startFakeHub } from '../files/testing/fake-hub.ts';
import { readHeader } from '../gguf/header.ts';
import { type Command, UsageError } from './command.ts';
import { convert } from './convert.ts';
import { convertLora } from './convert-lora.ts';
import { merge } from './merge.ts';
import { ollama } from './ollama.ts';
import { pull } from './pull.ts';
import { quantize } from './quantize.ts';

const checkpoint = fileURLToPath(new URL('../../test/fixtures/mixtral-hf', import.meta.url));

let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'huozi-files-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(work, { recursive: true });
});

/** @returns what it wrote to stdout */
async function run(command: Command, ...args: string[]): Promise<string> {
  let stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await command.run(args);
  } finally {
    vi.restoreAllMocks();
  }
  return stdout;
}

describe('arguments', () => {
  it.each<[string, Command, string[]]>([
    ['convert without a file to write', convert, ['folder']],
    ['convert to a type it does not write', convert, ['folder', 'out.gguf', '--type', 'q4_0']],
    ['convert-lora without a file to write', convertLora, ['folder', '--base', 'b.gguf']],
    ['convert-lora without a base', convertLora, ['folder', 'out.gguf']],
    ['merge of one', merge, ['a', '--out', 'b']],
    ['merge to nowhere', merge, ['a', 'b']],
    ['merge with a weight too few', merge, ['a', 'b', '--out', 'c', '--weights', '1']],
    ['merge with a negative weight', merge, ['a', 'b', '--out', 'c', '--weights=-1,2']],
    ['merge with weights of 0', merge, ['a', 'b', '--out', 'c', '--weights', '0,0']],
    ['merge with something else for a weight', merge, ['a', 'b', '--out', 'c', '--weights', '1,']],
    ['pull of nothing', pull, []],
    ['pull of a path', pull, ['../etc/passwd']],
    ['pull from another hub', pull, ['a/b', '--source', 'elsewhere']],
    ['pull from a mirror that is no address', pull, ['a/b', '--mirror', 'file:///etc']],
    ['quantize without a type', quantize, ['a.gguf', 'b.gguf']],
    ['quantize to a type that is none', quantize, ['a.gguf', 'b.gguf', 'q9_9']],
    ['an override without a type', quantize, ['a.gguf', 'b.gguf', 'q4_0', '--override', 'ffn']],
    ['an override that is no expression', quantize, ['a.gguf', 'b.gguf', 'q4_0', '--override', '(=q4_0']],
    ['an override to a type that is none', quantize, ['a.gguf', 'b.gguf', 'q4_0', '--override', 'a=q9_9']],
    ['ollama of two', ollama, ['a.gguf', 'b.gguf']],
  ])('%s', async (_, command, args) => {
    await expect(command.run(args)).rejects.toThrow(UsageError);
  });
});

describe('convert', () => {
  it('as a process: exit codes, one line, nothing left behind', async () => {
    const cli = fileURLToPath(new URL('../cli.ts', import.meta.url));
    const process_ = async (...args: string[]) => {
      const child = spawn(process.execPath, ['--conditions=huozi-source', '--import', 'tsx', cli, ...args]);
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (text) => {
        stdout += text;
      });
      child.stderr.on('data', (text) => {
        stderr += text;
      });
      const [code] = await once(child, 'close');
      return { code, stdout, stderr };
    };
    const out = join(work, 'out.gguf');
    expect(await process_('convert', checkpoint, out)).toEqual({
      code: 0,
      stdout: expect.stringMatching(/out\.gguf: \d+ tensors, \d+ kB, F16\n$/),
      stderr: '',
    });
    expect(await process_('convert', checkpoint, out)).toEqual({
      code: 1,
      stdout: '',
      stderr: `huozi-gpu-backend: ${out}: exists already (--force replaces it)\n`,
    });
    expect((await process_('convert', checkpoint)).code).toBe(2);
    expect(await readdir(work)).toEqual(['out.gguf']);
  });
});

describe('merge', () => {
  it('of a checkpoint with itself is that checkpoint', async () => {
    const out = join(work, 'out');
    expect(await run(merge, checkpoint, checkpoint, '--weights', '0.5,0.5', '--out', out)).toMatch(
      /out: \d+ tensors in 2 files, 159 kB\n$/,
    );
    const shard = 'model-00001-of-00002.safetensors';
    expect(await readFile(join(out, shard))).toEqual(await readFile(join(checkpoint, shard)));
  });
});

describe('pull', () => {
  it('takes its token from the environment, and says what it did', async () => {
    const hub = await startFakeHub();
    try {
      hub.files.set('config.json', Buffer.from('{}'));
      hub.token = 'secret';
      vi.stubEnv('HF_TOKEN', 'secret');
      const out = join(work, 'out');
      const args = ['HIT-SCIR/huozi', '--mirror', `${hub.url}/`, '--out', out];
      expect(await run(pull, ...args)).toBe(`${out}: 1 files, 2 B\n`);
      expect(await run(pull, ...args)).toBe(`${out}: 1 files, 2 B, 1 were here already\n`);
    } finally {
      await hub.close();
    }
  });
});

describe('quantize', () => {
  it('gives each tensor the type that llama.cpp gives it, or the one asked for, and the result answers', async () => {
    const out = join(work, 'out.gguf');
    const overrides = ['--override', 'ffn_down_exps=q5_0', '--override', 'blk\\.0\\.attn_v=F16'];
    const printed = await run(
      quantize,
      ...[tinyModel, out, 'q4_0', '--allow-requantize', '--threads', '1', ...overrides],
    );
    expect(printed).toContain(`${out}: `);
    const { tensors } = await readHeader(out);
    const types = new Map(tensors.map(({ name, type }) => [name, type.name]));
    const expected = (name: string) => {
      if (/norm|ffn_gate_inp/.test(name)) return 'F32';
      if (name.includes('ffn_down_exps')) return 'Q5_0';
      if (name === 'blk.0.attn_v.weight') return 'F16';
      // llama.cpp spares these two matrices of an eight-expert model, as they are small.
      if (/attn_[kv]\./.test(name)) return 'Q8_0';
      return name === 'output.weight' ? 'Q6_K' : 'Q4_0';
    };
    for (const [name, type] of types) expect(`${name} ${type}`).toBe(`${name} ${expected(name)}`);

    const engine = await loadEngine({
      modelPath: out,
      slots: 1,
      contextTokens: 256,
      batchTokens: 64,
      threads: 1,
    });
    const { completionTokens, reason } = await start(engine, { promptIds: ask(engine, '你好') }).answer;
    await engine.close();
    expect(completionTokens).toBeGreaterThan(0);
    expect(['stop', 'length']).toContain(reason);
  });

  it.each<[string, string, string, RegExp, ...string[]]>([
    [
      'a file that is quantised already',
      tinyModel,
      'q4_0',
      /huozi-tiny-q8_0\.gguf: .*requantizing from type q8_0/,
    ],
    [
      'a type that needs an importance matrix',
      tinyModel,
      'iq1_s',
      /q8_0\.gguf: .*importance matrix/,
      '--allow-requantize',
    ],
    ['a file that is not there', 'nowhere.gguf', 'q4_0', /nowhere\.gguf: no such file/],
    ['a file that is no model', 'text', 'q4_0', /text\.gguf: /],
  ])('refuses %s in one line, and leaves nothing behind', async (_, model, type, message, ...flags) => {
    await mkdir(join(work, 'in'));
    const text = join(work, 'in', 'text.gguf');
    await writeFile(text, 'no model');
    const input = model === 'text' ? text : model;
    const error = await run(quantize, input, join(work, 'out.gguf'), type, '--threads', '1', ...flags).catch(
      (e: Error) => e,
    );
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toMatch(/\n|={4}/);
    expect(await readdir(work)).toEqual(['in']);
  });
});

describe('ollama', () => {
  it('writes a Modelfile that names the model from where it lies', async () => {
    await mkdir(join(work, 'models'));
    const model = join(work, 'models', 'huozi.gguf');
    writeModel(model);
    const out = join(work, 'Modelfile');
    await run(ollama, model, '--out', out);
    expect(await readFile(out, 'utf8')).toContain('\nFROM ./models/huozi.gguf\n');
    await expect(run(ollama, model, '--out', out)).rejects.toThrow(`${out}: exists already`);
    await mkdir(join(work, 'other'));
    await run(ollama, model, '--out', join(work, 'other', 'Modelfile'));
    expect(await readFile(join(work, 'other', 'Modelfile'), 'utf8')).toContain(
      '\nFROM ../models/huozi.gguf\n',
    );
  });

  it("refuses a model without Huozi's markers", async () => {
    const model = join(work, 'other.gguf');
    writeModel(model, { markers: [] });
    await expect(run(ollama, model, '--out', join(work, 'Modelfile'))).rejects.toThrow(
      `${model}: lacks Huozi's markers`,
    );
    expect(await readdir(work)).toEqual(['other.gguf']);
  });
});
