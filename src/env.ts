import type { FleetApi } from './fleet/fleet-api.ts';
import type { DirectoryApi, KeyApi, Objects } from './keys/key-api.ts';
import type { ConversationApi } from './responses/conversation-api.ts';
import type { AnswerObjects } from './streams/stream-api.ts';
import type { Dataset } from './usage/analytics.ts';

/** What `wrangler.toml` and the secrets give the worker. */
export interface Env {
  /** Comma-separated base URLs of nodes that do not announce themselves. May be empty. */
  NODE_URLS: string;
  /** Bearer token that the nodes accept. Leaves the edge for the nodes alone. */
  NODE_TOKEN: string;
  /** Signs client keys. */
  KEY_SECRET: string;
  /** Bearer token of the admin API. */
  ADMIN_TOKEN: string;
  /** After so long without a word from its worker an answer counts as ended. 300 by default. */
  LEASE_SECONDS?: string;
  /** So long an answer whose node was lost waits for another that goes on with it. 8 by default; 0: asks the others once. */
  MIGRATION_SECONDS?: string;
  /** So long a node may take to accept or refuse a request, before it is asked elsewhere. 4 by default. */
  ACCEPT_SECONDS?: string;
  /** So long an answer may say nothing, not even the ping of every 2 s, before it goes on elsewhere. 5 by default, twice that at most. */
  SILENCE_SECONDS?: string;
  /** Which node a request goes to: `affinity`, by default, or `round-robin`, to compare it with. See routing/README.md. */
  ROUTING?: string;
  /** Comma-separated origins whose pages may call the edge from a browser. None by default. */
  ALLOWED_ORIGINS?: string;
  /** So long an answer may take, from its request. 900 by default. */
  DEADLINE_SECONDS?: string;
  /** `lean`: streams pass without JavaScript for each token, and cannot go on after a reset, see lean.ts. */
  RELAY?: string;
  /** Gets one data point an answer, where it is bound. */
  ANALYTICS?: Dataset;
  /** The built playground, see playground.ts. */
  ASSETS: { fetch(url: URL): Promise<Response> };
  /** A dedicated Inference Endpoint that answers where no node can; none by default. See burst/settings.ts. */
  BURST_ENDPOINT_URL?: string;
  /** Hugging Face token that it accepts. Leaves the edge for that endpoint alone. */
  BURST_TOKEN?: string;
  /** What runs there: `tgi` (the default) or `vllm`. */
  BURST_ENGINE?: string;
  /** The name that clients ask for; `huozi` by default. */
  BURST_MODEL?: string;
  /** As the endpoint calls its model; for vllm alone. */
  BURST_ENDPOINT_MODEL?: string;
  /** Longest prompt + answer there, tokens. 32768 by default. */
  BURST_CONTEXT?: string;
  /** It is asked before the nodes where these would let wait so many seconds for a first token. Never by default. */
  BURST_WAIT_SECONDS?: string;
  KEYS: Objects<KeyApi>;
  KEY_DIRECTORY: Objects<DirectoryApi>;
  CONVERSATIONS: Objects<ConversationApi>;
  /** So many days after its last response a stored conversation is forgotten. 30 by default. */
  RESPONSE_DAYS?: string;
  FLEET: Objects<FleetApi>;
  ANSWERS: AnswerObjects;
  /** So long after its end a resumable answer, or one with an idempotency key, can be had again. 600 by default. */
  STREAM_RETENTION_SECONDS?: string;
}
