import { expect, test } from 'vitest';
import { NodeStartError, startNode } from './index.ts';

const token = 'test-token-0123456789';

test('startNode serves the bundled model, and says in one line why it cannot', async () => {
  const node = await startNode({ token, threads: 1, slots: 1, contextTokens: 512 });
  try {
    const response = await fetch(`${node.url}/v1/node`, { headers: { authorization: `Bearer ${token}` } });
    expect(await response.json()).toMatchObject({ model: 'huozi', slots: 1, kv_total: 512, experts: 8 });
    expect(node.engine.info.maxSequence).toBe(512);

    const port = Number(new URL(node.url).port);
    const start = (options: object) => startNode({ token, threads: 1, ...options });
    await expect(start({ port })).rejects.toThrow(new NodeStartError(`127.0.0.1:${port} is in use`));
    await expect(start({ modelPath: '/nonexistent.gguf' })).rejects.toThrow(NodeStartError);
    await expect(start({ token: '' })).rejects.toThrow(NodeStartError);
  } finally {
    await node.close();
  }
  await expect(fetch(`${node.url}/healthz`)).rejects.toThrow();
});
