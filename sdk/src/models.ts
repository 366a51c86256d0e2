/** `GET /v1/models` */
import type { Requester, RequestOptions, WithRequestId } from './requester.ts';

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
  #request: Requester;

  /** @internal */
  constructor(request: Requester) {
    this.#request = request;
  }

  /**
   * All models that the key may use.
   *
   * @example
   * const { data } = await huozi.models.list();
   */
  list(options?: RequestOptions): Promise<WithRequestId<ModelList>> {
    return this.#request.json<ModelList>('/models', undefined, options);
  }

  /**
   * One model; a RequestError with status 404 if there is none of that name.
   *
   * @example
   * const model = await huozi.models.retrieve('huozi');
   */
  retrieve(model: string, options?: RequestOptions): Promise<WithRequestId<Model>> {
    return this.#request.json<Model>(`/models/${encodeURIComponent(model)}`, undefined, options);
  }
}
