/*
 * Connection URIs as libpq defines them: postgresql://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?PARAMETER=VALUE. The WHATWG
 * parser of Node.js differs: it knows one host only, and `#` ends the address.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */

/** Connection parameters by libpq's keyword, such as host, dbname and sslmode. Lists of hosts are separated by commas. */
export type ConnectionParameters = Readonly<Record<string, string>>;

/** A text is not a connection URI. The message contains no part of the text, because that can be a password. */
export class ConnectionUriError extends Error {
  override readonly name = 'ConnectionUriError';
}

const SCHEME = /^postgres(?:ql)?:\/\//;

/** Whether a text starts as a connection URI does. */
export function isConnectionUri(text: string): boolean {
  return SCHEME.test(text);
}

/**
 * Reads a connection URI. It neither checks the names of the parameters nor adds defaults; a part that is empty is omitted.
 * @throws ConnectionUriError
 */
export function parseConnectionUri(text: string): ConnectionParameters {
  const [scheme] = SCHEME.exec(text) ?? [];
  if (scheme === undefined)
    throw new ConnectionUriError('The URL must start with postgresql:// or postgres://.');
  const rest = text.slice(scheme.length);
  const [, userInfo, hosts = '', path, query] =
    /^(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest) ?? [];
  const colon = userInfo?.indexOf(':') ?? -1;
  const [user, password] =
    userInfo === undefined || colon === -1
      ? [userInfo]
      : [userInfo.slice(0, colon), userInfo.slice(colon + 1)];
  const parts: [string, string][] = [
    ['user', decode(user ?? '', 'user name')],
    ['password', decode(password ?? '', 'password')],
    ...parseHosts(hosts),
    ['dbname', decode(path ?? '', 'database name')],
    ...(query === undefined ? [] : query.split('&').map(parseParameter)),
  ];
  return Object.fromEntries(parts.filter(([, value]) => value !== ''));
}

function parseHosts(text: string): [string, string][] {
  const hosts = text.split(',').map((host) => {
    const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/s.exec(host);
    if (parts === null) {
      throw new ConnectionUriError('The URL has a wrong host. Write an IPv6 address in brackets: [::1].');
    }
    const [, bracketed, plain = '', port = ''] = parts;
    if (!/^\d*$/.test(port)) throw new ConnectionUriError('The port in the URL must be a number.');
    return [bracketed ?? decode(plain, 'host'), port] as const;
  });
  return [
    ['host', joined(hosts.map(([host]) => host))],
    ['port', joined(hosts.map(([, port]) => port))],
  ];
}

/** Empty if all values are, so that a default can be added. */
function joined(values: readonly string[]): string {
  return values.every((value) => value === '') ? '' : values.join(',');
}

function parseParameter(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals <= 0 || text.includes('=', equals + 1)) {
    throw new ConnectionUriError(
      'After the question mark, the URL must contain PARAMETER=VALUE, separated by &. Write & as %26 and = as %3D in a value.',
    );
  }
  return [decode(text.slice(0, equals), 'parameter'), decode(text.slice(equals + 1), 'parameter')];
}

function decode(text: string, what: string): string {
  if (/%00/.test(text)) throw new ConnectionUriError(`The ${what} in the URL contains %00.`);
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConnectionUriError(
      `The ${what} in the URL contains a % that is not followed by two hexadecimal digits. Write % as %25.`,
    );
  }
}

/** The parameters that a URI contains in its first part. All others are behind the question mark. */
const IN_PATH = ['user', 'password', 'host', 'port', 'dbname'];

/** Writes a connection URI, which every program that uses libpq can read. */
export function formatConnectionUri(parameters: ConnectionParameters): string {
  const { user = '', password, host = '', port = '', dbname = '' } = parameters;
  const encodedPassword = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const userInfo =
    user === '' && password === undefined ? '' : `${encodeURIComponent(user)}${encodedPassword}@`;
  const query = Object.entries(parameters)
    .filter(([name]) => !IN_PATH.includes(name))
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
  const hosts = formatHosts(host.split(','), port.split(','));
  return `postgresql://${userInfo}${hosts}/${encodeURIComponent(dbname)}${query === '' ? '' : `?${query}`}`;
}

function formatHosts(hosts: readonly string[], ports: readonly string[]): string {
  return hosts
    .map((host, index) => {
      const port = (ports.length === 1 ? ports[0] : ports[index]) ?? '';
      const name = host.includes(':') ? `[${host}]` : encodeURIComponent(host);
      return port === '' ? name : `${name}:${port}`;
    })
    .join(',');
}
