/** `GET /v1/models` */
import type { RequestOptions } from './options.ts';
import { type OpenCall, requestJson, type WithRequestId } from './requester.ts';

/**
 * A model that the server offers.
 *
 * @example
 * const { id, created }: Model = await huozi.models.retrieve('huozi');
 */
export interface Model {
  id: string;
  object: 'model';
  /** Unix seconds. */
  created: number;
  owned_by: string;
}

/**
 * What `models.list` gives.
 *
 * @example
 * const list: ModelList = await huozi.models.list();
 * list.data.map(({ id }) => id);
 */
export interface ModelList {
  object: 'list';
  data: Model[];
}

/**
 * `huozi.models`
 *
 * @example
 * const models: Models = huozi.models;
 */
export interface Models {
  /**
   * All models that the key may use.
   *
   * @example
   * const { data } = await huozi.models.list();
   */
  list(options?: RequestOptions): Promise<WithRequestId<ModelList>>;
  /**
   * One model; a RequestError with status 404 if there is none of that name.
   *
   * @example
   * const model = await huozi.models.retrieve('huozi');
   */
  retrieve(model: string, options?: RequestOptions): Promise<WithRequestId<Model>>;
}

export const models = (open: OpenCall): Models => ({
  list: (options) => requestJson(open, '/models', undefined, options),
  retrieve: (model, options) => requestJson(open, `/models/${encodeURIComponent(model)}`, undefined, options),
});
