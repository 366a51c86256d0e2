/** What `wrangler.toml` and the secrets give the worker. */
export interface Env {
  /** Comma-separated base URLs of the nodes. */
  NODE_URLS: string;
  /** Bearer token that the nodes accept. Leaves the edge for the nodes alone. */
  NODE_TOKEN: string;
  /** Signs client keys. */
  KEY_SECRET: string;
}
