/** The HTTP server under the app: its bounds, and answers to what is no HTTP. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener, RequestError } from '@hono/node-server';
import { ApiError } from './errors.ts';

interface HttpServerOptions {
  fetch: Parameters<typeof getRequestListener>[0];
  /** Hears of every refusal that no route has made. */
  onRefusal(error: ApiError): void;
  /** How long a request may take to arrive whole, milliseconds: clients that drip bytes hold no connection. */
  requestTimeoutMs: number;
}

const maxHeaderBytes = 16 * 1024;
const maxHeaders = 100;

export function createHttpServer({ fetch, onRefusal, requestTimeoutMs }: HttpServerOptions): Server {
  const listener = getRequestListener(fetch, {
    // The package is also used inside other programs: their Request and Response stay theirs.
    overrideGlobalObjects: false,
    errorHandler(thrown) {
      const error =
        thrown instanceof RequestError
          ? protocolError(undefined)
          : new ApiError(500, 'The node failed to process the request.', { code: 'internal_error' });
      onRefusal(error);
      return Response.json(error.body, { status: error.status });
    },
  });
  const limits = {
    noDelay: true,
    // Node would answer by itself, without a body; hono refuses it, too.
    requireHostHeader: false,
    // Longer than proxies keep an idle connection, or they would reuse one that is just being closed.
    keepAliveTimeout: 95_000,
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: Math.min(10_000, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
    // How late the two above may be seen.
    connectionsCheckingInterval: Math.min(2_000, requestTimeoutMs),
  };
  const server = createServer(limits, listener);
  server.maxHeadersCount = maxHeaders;
  server.on('clientError', (thrown: NodeJS.ErrnoException, socket: Socket) => {
    // Bytes of an answer that has begun are nothing to add an answer to.
    const { _httpMessage: answer } = socket as Socket & { _httpMessage?: ServerResponse };
    if (!socket.writable || answer?.headersSent || thrown.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const error = protocolError(thrown.code);
    onRefusal(error);
    socket.end(rawResponse(error));
  });
  server.on('checkExpectation', (_: IncomingMessage, response: ServerResponse) => {
    const error = new ApiError(417, 'Only 100-continue can be expected here.', { code: 'invalid_http' });
    onRefusal(error);
    response.writeHead(417, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(error.body));
  });
  return server;
}

function protocolError(code: string | undefined): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ApiError(431, `The headers are larger than ${maxHeaderBytes} bytes.`, {
      code: 'headers_too_large',
    });
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ApiError(408, 'The request took too long to arrive.', { code: 'request_timeout' });
  }
  return new ApiError(400, 'The request is not valid HTTP.', { code: 'invalid_http' });
}

function rawResponse({ status, body }: ApiError): string {
  const text = JSON.stringify(body);
  return [
    `HTTP/1.1 ${status} Error`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
    '',
    text,
  ].join('\r\n');
}
