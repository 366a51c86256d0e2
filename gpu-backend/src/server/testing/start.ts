import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { type NodeServerOptions, type RunningNode, serveNode } from '../node.ts';
import { token } from './client.ts';
import { ScriptedEngine } from './scripted-engine.ts';

interface TestNode {
  node: RunningNode;
  url: string;
  engine: ScriptedEngine;
  /** What was logged so far, one object a line. */
  logged(): Record<string, unknown>[];
}

/** A node on a free port of loopback around a scripted engine, closed when the test ends. */
export async function startTestNode(options: Partial<NodeServerOptions> = {}): Promise<TestNode> {
  const engine = new ScriptedEngine();
  const lines: string[] = [];
  const sink = new PassThrough({ encoding: 'utf8' });
  sink.on('data', (line: string) => lines.push(line));
  const node = await serveNode(async () => engine, {
    token,
    host: '127.0.0.1',
    port: 0,
    name: 'huozi',
    log: pino({ level: 'trace' }, sink),
    ...options,
  });
  onTestFinished(async () => {
    const closed = node.close();
    // The script is over: what it left running ends as if cancelled.
    for (const generation of [...engine.running]) generation.end('cancelled');
    await closed;
  });
  return {
    node,
    url: node.url,
    engine,
    logged: () =>
      lines
        .join('')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}
