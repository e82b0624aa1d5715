import { connect, createServer, type Socket } from 'node:net';

/** A proxy in front of a server. Close it when its connections have ended. */
export interface FakePooler {
  /** The connection string through the proxy. */
  readonly url: string;
  close(): void;
}

/** The message of the server with the process id of the session: a type, a length, the id, a key. */
const BACKEND_KEY_DATA = 'K'.charCodeAt(0);

/**
 * Opens a proxy that differs from a direct connection as a connection pooler does: the process id that the client receives is
 * not that of the backend which answers.
 * @param url connection string of a server on this machine, without TLS. The host is an address or the folder of a socket
 */
export async function openFakePooler(url: string): Promise<FakePooler> {
  const { hostname, port } = new URL(url);
  const host = decodeURIComponent(hostname);
  const target = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port: Number(port) };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const backend = connect(target);
    for (const socket of [client, backend]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.pipe(backend);
    let received = Buffer.alloc(0);
    let found = false;
    backend.on('data', (data) => {
      received = Buffer.concat([received, data]);
      while (!found && received.length >= 5 && received.length > received.readInt32BE(1)) {
        const end = received.readInt32BE(1) + 1;
        found = received[0] === BACKEND_KEY_DATA;
        if (found) received.writeInt32BE(received.readInt32BE(5) + 1, 5);
        client.write(received.subarray(0, end));
        received = received.subarray(end);
      }
      if (!found) return;
      client.write(received);
      received = Buffer.alloc(0);
    });
    backend.on('end', () => client.end());
    client.on('close', () => backend.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.');
  const proxied = Object.assign(new URL(url), { host: `127.0.0.1:${address.port}` });
  // The answer to a request for TLS is no message.
  proxied.searchParams.set('sslmode', 'disable');
  return {
    url: proxied.href,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
