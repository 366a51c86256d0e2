/** `GET /v1/models` */
import type { ClientSettings, RequestOptions } from './options.ts';
import { requestJson, type WithRequestId } from './requester.ts';

/** A model that the server offers. */
export interface Model {
  id: string;
  object: 'model';
  /** Unix seconds. */
  created: number;
  owned_by: string;
}

export interface ModelList {
  object: 'list';
  data: Model[];
}

/** `huozi.models` */
export class Models {
  #settings: ClientSettings;

  /** @internal */
  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  /**
   * All models that the key may use.
   *
   * @example
   * const { data } = await huozi.models.list();
   */
  list(options?: RequestOptions): Promise<WithRequestId<ModelList>> {
    return requestJson<ModelList>(this.#settings, '/models', undefined, options);
  }

  /**
   * One model; a RequestError with status 404 if there is none of that name.
   *
   * @example
   * const model = await huozi.models.retrieve('huozi');
   */
  retrieve(model: string, options?: RequestOptions): Promise<WithRequestId<Model>> {
    return requestJson<Model>(this.#settings, `/models/${encodeURIComponent(model)}`, undefined, options);
  }
}
