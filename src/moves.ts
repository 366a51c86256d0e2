/** How often an answer did not come from the node that was asked first. Counted up as it goes. */
export interface Moves {
  /** Times that another node was asked because one did not take the request. */
  retries: number;
  /** Times that another node went on with the answer, or began it anew, because one was lost with it. */
  migrations: number;
}

/**
 * As far as it is known when the headers go out: of a stream that goes on elsewhere its `: migrated` comment tells,
 * and of everything the usage.
 */
export function setMoveHeaders(headers: Record<string, string>, { retries, migrations }: Moves): void {
  if (retries > 0) headers['x-huozi-retries'] = String(retries);
  if (migrations > 0) headers['x-huozi-migrations'] = String(migrations);
}
