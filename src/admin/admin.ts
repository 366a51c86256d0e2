/** The admin API's routes. Who may come here: require-admin.ts. */
import { Hono } from 'hono';
import { type App, callOf, readJson } from '../app.ts';
import { show } from '../keys/key-record.ts';
import { directory, keyObject } from '../keys/objects.ts';
import { knownNodes } from '../nodes.ts';
import { parseAdminUsageQuery } from '../usage/usage-query.ts';
import { parseKeyChange, parseNewKey, parsePage, parseRotation } from './key-requests.ts';
import { createKey, readKey, revokeKey, rotateKey, updateKey } from './keys.ts';

export const admin = new Hono<App>();

admin.post('/keys', async (c) => c.json(await createKey(c.env, parseNewKey(await readJson(c))), 201));
admin.get('/keys', async (c) =>
  c.json({ object: 'list', ...(await directory(c.env).list(parsePage(c.req.query()))) }),
);
admin.get('/keys/:id', async (c) => c.json(show(await readKey(c.env, c.req.param('id')))));
admin.patch('/keys/:id', async (c) => {
  const { id, ...current } = await readKey(c.env, c.req.param('id'));
  return c.json(await updateKey(c.env, id, parseKeyChange(await readJson(c), current)));
});
admin.delete('/keys/:id', async (c) => c.json(await revokeKey(c.env, c.req.param('id'))));
admin.post('/keys/:id/rotate', async (c) => {
  const { overlap_seconds } = parseRotation(await readJson(c, {}));
  return c.json(await rotateKey(c.env, c.req.param('id'), overlap_seconds));
});

/** Of one key up to the second, of all up to some ten seconds ago: each key reports what it used by itself. */
admin.get('/usage', async (c) => {
  const { key, ...query } = parseAdminUsageQuery(c.req.query(), Date.now());
  const data =
    key === undefined
      ? await directory(c.env).usage(query)
      : await keyObject(c.env, (await readKey(c.env, key)).id).usage(query);
  return c.json({ object: 'usage', from: query.from, to: query.to, data });
});

/** What every node says of itself now. */
admin.get('/nodes', async (c) => {
  const nodes = await knownNodes(callOf(c), 0);
  return c.json({
    object: 'list',
    data: nodes.map(({ url, up, info }) => ({ url, up, info: info ?? null })),
  });
});
