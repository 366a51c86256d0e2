/** A name that two nodes read in two ways is one thing only. */
import { expect, it } from 'vitest';
import { chat, startEdge } from './edge.ts';
import { answer, ScriptedNode } from './scripted-node.ts';

it("a model's whole name goes before a model with an adapter", async () => {
  const nodes = [await new ScriptedNode().start(), await new ScriptedNode().start()] as const;
  const [adapted, whole] = nodes;
  adapted.info = { ...adapted.info, model: 'huozi', adapters: ['law'] };
  whole.info = { ...whole.info, model: 'huozi:law' };
  for (const node of nodes) node.script = answer('好');
  const edge = await startEdge([...nodes]);
  try {
    // Were both asked, conversations would have their homes on both: all on one side once in 2¹⁹ runs.
    for (let at = 0; at < 20; at++) {
      const messages = [{ role: 'user', content: String(at) }];
      expect((await edge.post(chat({ model: 'huozi:law', messages }))).status).toBe(200);
    }
    expect(adapted.generations.length).toBe(0);
    expect(whole.generations.map(({ request }) => request.adapter)).toEqual(Array(20).fill(undefined));

    await edge.post(chat({ model: 'huozi' }));
    expect(adapted.generations.length).toBe(1);
  } finally {
    await edge.stop();
    await Promise.all(nodes.map((node) => node.stop()));
  }
});
