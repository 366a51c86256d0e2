/** One JSON object a line, on the worker's console. Never content, never a key, never the nodes' token. */
export function log(event: string, fields: Record<string, unknown>): void {
  // biome-ignore lint/suspicious/noConsole: a worker has no other log
  console.log(JSON.stringify({ event, ...fields }));
}
