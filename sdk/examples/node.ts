/** A script: `HUOZI_API_KEY=hz_… node node.ts 背诵《静夜思》` (Node ≥ 22.18 takes TypeScript; before it, with tsx). */
import { Huozi, HuoziError, RateLimitError } from 'huozi';
import { keyFromEnv } from 'huozi/node';

const huozi = new Huozi({
  baseURL: process.env.HUOZI_BASE_URL ?? 'http://127.0.0.1:8787/v1',
  apiKey: keyFromEnv(),
});

try {
  const stream = await huozi.chat.completions.create(
    {
      model: 'huozi',
      messages: [
        { role: '系统', content: '你是一个智能助手' },
        { role: '用户', content: process.argv[2] ?? '你好' },
      ],
      temperature: 0,
      stream: true,
    },
    { onResume: (failure) => process.stderr.write(`\n(resumed after: ${failure.message})\n`) },
  );
  for await (const text of stream.textStream) process.stdout.write(text);
  process.stderr.write(`\n${stream.usage?.completion_tokens} tokens, request ${stream.requestId}\n`);
} catch (error) {
  if (!HuoziError.isInstance(error)) throw error;
  const wait = RateLimitError.isInstance(error) ? `; again in ${error.retryAfter ?? 1} s` : '';
  process.stderr.write(`${error.name} ${error.code ?? ''}: ${error.message}${wait}\n`);
  process.exitCode = 1;
}
