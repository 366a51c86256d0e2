/** `huozi/all`: the client with everything on it, where size does not matter. */
import { type HuoziOptions, Huozi as Lean } from './client.ts';
import { Responses } from './responses.ts';

/**
 * `Huozi` with `responses`.
 *
 * @example
 * import { Huozi } from 'huozi/all';
 * const { output_text } = await new Huozi({ baseURL, apiKey }).responses.create({ model: 'huozi', input: '你好' });
 */
export class Huozi extends Lean {
  readonly responses: Responses;

  constructor(options: HuoziOptions) {
    super(options);
    this.responses = new Responses(this);
  }
}
