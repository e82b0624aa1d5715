import { randomInt } from 'node:crypto';
import { Socket } from 'node:net';
import pg, { type ClientConfig } from 'pg';
import { ConnectionLost, messageOf } from '../shared/errors.ts';
import { type ConnectionParameters, parseConnectionUri } from './connection-uri.ts';
import { RequiredAuthentication } from './required-authentication.ts';
import { hideRowValues } from './row-values.ts';
import { CANNOT_CONNECT_NOW, INVALID_PASSWORD, isConnectionError, sqlstateOf } from './sqlstate.ts';
import { encryptionsOf, tlsProblem } from './tls-options.ts';

/** Settings of a connection that do not come from its URI. */
export interface ConnectionSettings {
  readonly application_name: string;
  /** Longest wait for a host, in milliseconds. connect_timeout of the URI replaces it. */
  readonly connectionTimeoutMillis: number;
  readonly query_timeout?: number;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelayMillis?: number;
  /** Errors contain values of rows, as the server sends them: see row-values.ts. @default false */
  readonly showRowValues?: boolean;
}

/** libpq waits at least this long for a host. */
const LEAST_TIMEOUT_S = 2;

/**
 * Connects to a database. A connection string is understood as libpq understands it, with several hosts, target_session_attrs
 * and the modes of TLS; what it does not contain comes from no variable of this process.
 * @throws ConnectionLost when none of several hosts can be used; otherwise the error of the host
 */
export async function connectClient(
  config: ClientConfig,
  { showRowValues = false, ...settings }: ConnectionSettings,
): Promise<pg.Client> {
  const client = await connectTo(config, settings);
  if (!showRowValues) hideRowValues(client);
  return client;
}

async function connectTo(config: ClientConfig, settings: ConnectionSettings): Promise<pg.Client> {
  if (config.connectionString === undefined) {
    return await opened(withoutVariables(() => new pg.Client({ ...config, ...settings })));
  }
  const parameters = parseConnectionUri(config.connectionString);
  const { target_session_attrs: wanted } = parameters;
  if (wanted !== 'prefer-standby') return await connectAny(parameters, settings);
  try {
    return await connectAny({ ...parameters, target_session_attrs: 'standby' }, settings);
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
    return await connectAny({ ...parameters, target_session_attrs: 'any' }, settings);
  }
}

interface Host {
  readonly name: string;
  /** The address to connect to, if it is not looked up. */
  readonly address: string | undefined;
  readonly port: number;
}

function hostsOf({
  host = '',
  hostaddr,
  port = '',
  load_balance_hosts: order,
}: ConnectionParameters): Host[] {
  const addresses = hostaddr?.split(',');
  const names = host === '' ? (addresses ?? ['localhost']) : host.split(',');
  const ports = port.split(',');
  const hosts = names.map((name, index) => ({
    name: name || (addresses?.[index] ?? 'localhost'),
    address: addresses?.[index] || undefined,
    port: Number((ports.length === 1 ? ports[0] : ports[index]) || 5432),
  }));
  return order === 'random' ? shuffled(hosts) : hosts;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, rank: randomInt(2 ** 32) }))
    .toSorted((one, two) => one.rank - two.rank)
    .map(({ item }) => item);
}

/** Tries the hosts in their order. As in libpq, a host that answers with another error than a network's ends the search. */
async function connectAny(
  parameters: ConnectionParameters,
  settings: ConnectionSettings,
): Promise<pg.Client> {
  const hosts = hostsOf(parameters);
  const failures: string[] = [];
  for (const host of hosts) {
    try {
      return await checkSession(await connectHost(host, parameters, settings), parameters);
    } catch (error) {
      if (hosts.length === 1 || !isNext(error)) throw error;
      failures.push(`${host.name}:${host.port}: ${messageOf(error)}`);
    }
  }
  throw new ConnectionLost(`None of the hosts can be used. ${failures.join('; ')}`);
}

function isNext(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  if (error instanceof ConnectionLost) return true;
  if (sqlstate !== undefined) return sqlstate === CANNOT_CONNECT_NOW;
  return isConnectionError(error) || isTimeout(error);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message.includes('timeout expired');
}

/** Connects with the first kind of encryption that the mode of TLS allows and the server accepts. */
async function connectHost(
  host: Host,
  parameters: ConnectionParameters,
  settings: ConnectionSettings,
): Promise<pg.Client> {
  const errors: unknown[] = [];
  for (const ssl of encryptionsOf(parameters, host.name)) {
    try {
      return await connectOnce({ host, ssl, parameters, settings });
    } catch (error) {
      errors.push(tlsProblem(error, { host: host.name, parameters }) ?? error);
      const isRefused = sqlstateOf(error)?.startsWith('28') === true;
      const isTlsFailure = ssl !== false && sqlstateOf(error) === undefined && !isUnreachable(error);
      if (!isRefused && !isTlsFailure) break;
    }
  }
  throw errors.find((error) => sqlstateOf(error) === INVALID_PASSWORD) ?? mostUseful(errors);
}

/** With sslmode=prefer and a server without TLS, the second error says more. */
function mostUseful(errors: readonly unknown[]): unknown {
  return errors.find((error) => !messageOf(error).includes('does not support TLS')) ?? errors[0];
}

/** Nothing answers at the address: another kind of encryption changes nothing. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isUnreachable);
  if (isTimeout(error)) return true;
  const syscall = error instanceof Error && 'syscall' in error ? error.syscall : undefined;
  return syscall === 'connect' || syscall === 'getaddrinfo';
}

interface Attempt {
  readonly host: Host;
  readonly ssl: ClientConfig['ssl'];
  readonly parameters: ConnectionParameters;
  readonly settings: ConnectionSettings;
}

async function connectOnce({ host, ssl, parameters, settings }: Attempt): Promise<pg.Client> {
  const { user, dbname, options, sslnegotiation, connect_timeout: timeout = '0' } = parameters;
  const { keepalives, keepalives_idle: idle = '0', channel_binding: binding } = parameters;
  const authentication = new RequiredAuthentication(parameters);
  const { address } = host;
  const client = withoutVariables(
    () =>
      new pg.Client({
        ...settings,
        ...{ user, database: dbname ?? user, options, host: host.name, port: host.port, ssl },
        password: authentication.password,
        ...(Number(timeout) > 0 && {
          connectionTimeoutMillis: Math.max(Number(timeout), LEAST_TIMEOUT_S) * 1000,
        }),
        ...(keepalives === '0' && { keepAlive: false }),
        ...(Number(idle) > 0 && { keepAlive: true, keepAliveInitialDelayMillis: Number(idle) * 1000 }),
        ...(address !== undefined && { stream: () => socketTo(address) }),
        ...(ssl !== false && { sslnegotiation, enableChannelBinding: binding !== 'disable' }),
      } as ClientConfig),
  );
  authentication.observe(client);
  await opened(client);
  try {
    authentication.checkConnected();
    return client;
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}

/** A socket that connects to an address, whatever the name of the host is. The certificate is compared with the name. */
function socketTo(address: string): Socket {
  const socket = new Socket();
  const connect = socket.connect.bind(socket) as (port: number, host: string) => Socket;
  return Object.assign(socket, { connect: (port: number) => connect(port, address) });
}

/**
 * node-postgres takes what a configuration does not contain from PGOPTIONS, PGSSLMODE and other variables. The URI is complete,
 * and a variable that someone has set for another database must not change the connection.
 */
function withoutVariables<T>(create: () => T): T {
  const saved = Object.entries(process.env).filter(([name]) => name.startsWith('PG'));
  for (const [name] of saved) delete process.env[name];
  try {
    return create();
  } finally {
    for (const [name, value] of saved) process.env[name] = value;
  }
}

async function opened(client: pg.Client): Promise<pg.Client> {
  // Without a listener, the loss of an idle connection would end the process. The next query reports the error.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}

/** Compares a session with target_session_attrs. @throws ConnectionLost: after a failover, another attempt can succeed */
async function checkSession(client: pg.Client, { target_session_attrs: wanted }: ConnectionParameters) {
  if (wanted === undefined || wanted === 'any') return client;
  try {
    const { rows } = await client.query<{ standby: boolean; readonly: string }>(
      `select pg_catalog.pg_is_in_recovery() as standby,
              pg_catalog.current_setting('transaction_read_only') as readonly`,
    );
    const { standby = false, readonly = 'off' } = rows[0] ?? {};
    const isReadOnly = standby || readonly === 'on';
    const is = { 'read-write': !isReadOnly, 'read-only': isReadOnly, primary: !standby, standby };
    if (is[wanted as keyof typeof is]) return client;
    const found = standby
      ? 'a standby'
      : isReadOnly
        ? 'a read-only primary'
        : 'a primary that accepts writes';
    throw new ConnectionLost(`The server is ${found}, but target_session_attrs=${wanted} is required.`);
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}
