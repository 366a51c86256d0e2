import { EdgeError, errorBody, errorResponse } from '../errors.ts';

/** How a parser refuses a body, as the client would read it; undefined when it does not. */
export function refusal(parse: (body: unknown) => unknown, body: unknown) {
  try {
    parse(body);
  } catch (error) {
    if (!(error instanceof EdgeError)) throw error;
    return { status: errorResponse(error.problem).status, ...errorBody(error.problem).error };
  }
  return undefined;
}
