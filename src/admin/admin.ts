/** The admin API's routes. Who may come here: require-admin.ts. */
import { Hono } from 'hono';
import { type App, callOf, readJson } from '../app.ts';
import { readAllExperts } from '../experts/experts.ts';
import { show } from '../keys/key-record.ts';
import { directory, keyObject } from '../keys/objects.ts';
import { parseAdminUsageQuery } from '../usage/usage-query.ts';
import { parseKeyChange, parseNewKey, parsePage, parseRotation } from './key-requests.ts';
import { createKey, readKey, revokeKey, rotateKey, updateKey } from './keys.ts';
import { shownNodes } from './nodes.ts';

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

/** As of half a second ago at most. */
admin.get('/nodes', async (c) => c.json(await shownNodes(callOf(c))));
admin.get('/experts', async (c) => c.json(await readAllExperts(callOf(c), c.req.query())));
