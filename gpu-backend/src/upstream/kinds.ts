/** Engines that this node fronts and neither starts nor ends. */
export const upstreamEngines = ['llama-server', 'openai', 'ollama', 'huggingface'] as const;
export type UpstreamKind = (typeof upstreamEngines)[number];
