import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpRequest {
  /** Such as `GET /path`, without the query. */
  readonly route: string;
  readonly query: URLSearchParams;
  readonly body: string;
}

export interface HttpResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Starts an HTTP endpoint of an AWS API on this machine. */
export async function openHttpEndpoint(
  answer: (request: HttpRequest) => HttpResponse,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
      const {
        status = 200,
        headers = {},
        body,
      } = answer({
        route: `${request.method} ${pathname}`,
        query: searchParams,
        body: Buffer.concat(chunks).toString('utf8'),
      });
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
