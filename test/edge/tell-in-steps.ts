/** A node's answer that goes on when the test says so. */
import { until } from './edge.ts';
import { accept, type Generation, type ScriptedNode, streamOf, textEvent } from './scripted-node.ts';

/** What every reader of a resumable stream must get of the whole answer. */
export function numbered(generation: Generation, text: string): string {
  let number = 0;
  return streamOf(generation.request, text)
    .replace(/^(id|: ids|: usage).*\n/gm, '')
    .replace(/^data: /gm, () => `id: ${++number}\ndata: `);
}

/** The node's next answer: `text`, a character at a time. */
export function tellInSteps(node: ScriptedNode, text: string) {
  const characters = [...text];
  let generation: Generation | undefined;
  let told = 0;
  node.script = (begun) => {
    generation = begun;
    accept(begun);
  };
  return {
    begun: () => until(() => generation),
    /** Its first characters, so many. */
    async tell(upTo: number) {
      const { request, response } = await until(() => generation);
      for (; told < upTo; told++) response.write(textEvent(request, told + 1, characters[told]!));
    },
    async finish() {
      const { request, response } = await until(() => generation);
      await this.tell(characters.length);
      const texts = characters.map((character, at) => textEvent(request, at + 1, character)).join('');
      response.end(streamOf(request, text).slice(texts.length));
      return numbered(generation!, text);
    },
  };
}
