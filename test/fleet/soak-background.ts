/** A client of the soak that asks for a response in the background, loses its connection, and comes back for the rest. */
import { type Asked, anyCut, type Edge, nothing, type Question, read, send } from './soak-client.ts';

interface ResponseEvent {
  type: string;
  sequence_number: number;
  delta?: string;
  code?: string;
  response?: {
    id: string;
    status: string;
    usage: { input_tokens: number; output_tokens: number } | null;
  };
}

export async function askInBackground(edge: Edge, question: Question, told: Asked): Promise<Asked> {
  const headers = { authorization: `Bearer ${edge.apiKey}`, 'x-request-id': told.requestId };
  const leave = new AbortController();
  const begun = await send(told, `${edge.baseURL}/responses`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'huozi',
      input: question.prompt,
      ...question.sampling,
      background: true,
      stream: true,
    }),
    signal: leave.signal,
  });
  if (!begun.ok) {
    told.error = ((await begun.json()) as { error: { code: string } }).error.code;
    return told;
  }
  let id = '';
  const take = (event: string, told: Asked) => {
    id = takeEvent(event, told) ?? id;
  };
  // The first event says what it is called.
  await read(begun, 1 + anyCut(), leave, told, take);
  const url = `${edge.baseURL}/responses/${id}`;
  for (let cuts = 0; !told.done; cuts++) {
    // No node was left: it says that it can be asked again.
    if (told.error === 'stream_interrupted') {
      told.error = undefined;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    if (told.error) break;
    const again = new AbortController();
    // `last` counts events, whose numbers begin at 0.
    const after = `?stream=true&starting_after=${told.last - 1}`;
    const rest = await send(told, url + after, { headers, signal: again.signal });
    if (!rest.ok) throw new Error(`resuming after ${told.last} gave ${rest.status} ${await rest.text()}`);
    const before = told.last;
    await read(rest, cuts < 4 ? anyCut() : Number.POSITIVE_INFINITY, again, told, take);
    if (cuts > 4 && told.last === before && !told.error) {
      told.faults.push(`nothing follows event ${told.last}, which does not end it`);
      break;
    }
  }
  if (!told.done) return told;
  const again = nothing('background');
  await read(
    await send(told, `${url}?stream=true`, { headers }),
    Number.POSITIVE_INFINITY,
    new AbortController(),
    again,
    take,
  );
  if (again.text !== told.text || again.last !== told.last || !again.done)
    told.faults.push(`read again: ${JSON.stringify(again)}`);
  // Conversations are kept for days.
  const gone = await send(told, url, { method: 'DELETE', headers });
  if (!gone.ok) told.faults.push(`deleting it gave ${gone.status}`);
  return told;
}

/** Gives the response's name, where the event tells it. */
function takeEvent(event: string, told: Asked): string | undefined {
  const { type, sequence_number, delta, code, response } = JSON.parse(
    /^data: (.*)$/m.exec(event)![1]!,
  ) as ResponseEvent;
  if (type === 'error') {
    told.error = code ?? 'unknown';
    return undefined;
  }
  if (told.done) told.faults.push(`after its end: ${event}`);
  if (sequence_number !== told.last)
    told.faults.push(`event ${sequence_number} came in the place of ${told.last}`);
  told.last = sequence_number + 1;
  if (type === 'response.output_text.delta') {
    told.tokens++;
    told.text += delta;
  }
  if (type === 'response.completed') {
    const { input_tokens, output_tokens } = response!.usage!;
    told.usage = { prompt_tokens: input_tokens, completion_tokens: output_tokens };
    told.done = true;
  } else if (type === 'response.failed' || type === 'response.incomplete') {
    told.error = type;
  }
  return response?.id;
}
