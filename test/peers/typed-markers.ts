/**
 * What an engine of text alone makes of typed markers, as it counts its prompts itself. Each text of the injection corpus, in
 * a user's turn as our node writes it, must be as many tokens there as here, where none of them can be a control token.
 * The same prompts with nothing neutralised must not: else the counts would show nothing.
 *
 *     HUOZI_ENGINE=ollama HUOZI_UPSTREAM=http://127.0.0.1:11434 npm run test:typed
 */
import { askedIn, tinyModel } from '../../gpu-backend/src/engine/testing/generate.ts';
import {
  huoziLiterals,
  huoziMarkers,
  neutraliser,
  stringPrompt,
} from '../../gpu-backend/src/string-prompt.ts';
import { promptText } from '../../gpu-backend/src/upstream/prompt-text.ts';
import { readKnownModel } from '../../gpu-backend/src/upstream/vocabulary.ts';
import { everyText } from '../conformance/injection-corpus.ts';
import { inParallel } from '../fleet/migration.ts';

const { HUOZI_ENGINE = '', HUOZI_UPSTREAM = '' } = process.env;

async function post(path: string, body: object) {
  const response = await fetch(HUOZI_UPSTREAM + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  // biome-ignore lint/suspicious/noExplicitAny: of either engine
  return response.json() as any;
}

async function openAiCount(prompt: string): Promise<number> {
  const { data } = await (await fetch(`${HUOZI_UPSTREAM}/v1/models`)).json();
  const body = { model: data[0].id, prompt, max_tokens: 1 };
  return (await post('/v1/completions', body)).usage.prompt_tokens;
}

async function ollamaCount(prompt: string): Promise<number> {
  const { models } = await (await fetch(`${HUOZI_UPSTREAM}/api/tags`)).json();
  const options = { num_predict: 1, num_ctx: 4096 };
  const body = { model: models[0].name, prompt, raw: true, stream: false, options };
  return (await post('/api/generate', body)).prompt_eval_count;
}

const count = { openai: openAiCount, ollama: ollamaCount }[HUOZI_ENGINE];
if (!count) throw new Error('HUOZI_ENGINE is openai or ollama');

const model = await readKnownModel(tinyModel);
const { neutralise } = neutraliser(huoziLiterals);
const wrong: string[] = [];
let found = 0;
await inParallel(everyText, 4, async ([name, text]) => {
  // SentencePiece's sign for a space is one to them; our own tokenizer keeps it as its bytes.
  const expected = model.tokenize(askedIn(neutralise(text).replaceAll('▁', ' '))).length;
  const told = await count(promptText(model.tokenize(askedIn(text)), model));
  if (told !== expected) wrong.push(`${name}: ${told} tokens, not ${expected}`);
  const asTyped = stringPrompt(askedIn(text), { ...huoziMarkers, bos: undefined }, (same) =>
    Buffer.from(same).toString(),
  );
  if ((await count(asTyped)) !== model.tokenize(askedIn(text)).length) found++;
});
process.stdout.write(
  `${wrong.map((line) => `${line}\n`).join('')}${everyText.length - wrong.length} of ${everyText.length} texts are the tokens that they should be; ` +
    `${found} are not where nothing is neutralised\n`,
);
process.exitCode = wrong.length === 0 && found > 0 ? 0 : 1;
