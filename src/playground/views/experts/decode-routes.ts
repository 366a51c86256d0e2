/** `routed_experts` of an answer's chunks, as tokens with the experts that they went through. Pure. */

/** A model's routers: how many experts each of `layers` has, and how many of them a token takes. */
export interface Shape {
  layers: number;
  experts: number;
  used: number;
}

/** What a chunk brought. */
export interface Piece {
  text: string;
  /** uint8 [tokens][layers][used], the expert with the larger router weight first. */
  routes: Uint8Array;
}

export interface RoutedToken {
  /** '' of a token whose text came with a later one: a part of a character, or of what might have been a stop string. */
  text: string;
  /** By layer. */
  route: readonly (readonly number[])[];
}

/** Undefined: not base64. */
export function decodeRoutes(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** A piece of several tokens has its text at the last: what they say is known only when it has come. */
export function routedTokens(pieces: readonly Piece[], { layers, used }: Shape): RoutedToken[] {
  const tokens: RoutedToken[] = [];
  const size = layers * used;
  for (const { text, routes } of pieces) {
    const count = size === 0 ? 0 : Math.floor(routes.length / size);
    for (let token = 0; token < count; token++) {
      const route = Array.from({ length: layers }, (_, layer) => {
        const begin = token * size + layer * used;
        return [...routes.subarray(begin, begin + used)];
      });
      tokens.push({ text: token === count - 1 ? text : '', route });
    }
  }
  return tokens;
}
