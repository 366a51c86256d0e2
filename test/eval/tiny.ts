/** `npm run eval:tiny`: huozi-tiny's held-out scores through the whole stack, beside a template broken on purpose. */
import { startStack } from '../stack.ts';
import { heldOutItems, score, share, throughTheEdge, total, withEnglishRoleNames } from './heldout.ts';

const percent = (value: number) => `${(100 * value).toFixed(1)} %`.padStart(8);
const print = (line: string) => process.stdout.write(`${line}\n`);

const stack = await startStack([]);
try {
  const items = heldOutItems();
  const asIs = await score(items, throughTheEdge(stack));
  const broken = await score(items, withEnglishRoleNames(stack));
  print(`${'task'.padEnd(16)} items  template  English role names`);
  for (const [task, result] of asIs) {
    print(
      `${task.padEnd(16)} ${String(result.asked).padStart(5)}  ${percent(share(result))}  ${percent(share(broken.get(task)!))}`,
    );
  }
  print(
    `${'all'.padEnd(16)} ${String(items.length).padStart(5)}  ${percent(total(asIs))}  ${percent(total(broken))}`,
  );
  for (const [task, { wrong }] of asIs) {
    for (const miss of wrong) print(`wrong in ${task}: ${JSON.stringify(miss)}`);
  }
} finally {
  await stack.stop();
}
