import { isIP } from 'node:net';
import type { ConnectionParameters } from '../../lambdas/postgres/connection-uri.ts';
import { SSL_MODES } from '../../lambdas/postgres/tls-options.ts';

/** Settings of a connection are wrong. The message contains no value that can be a password. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

/** How one of libpq's connection parameters is handled. */
interface Parameter {
  /** The environment variable that sets it. */
  readonly variable?: string;
  /** The values that have the effect that libpq documents. Others are refused. @default any */
  readonly values?: readonly string[];
  /** Why it cannot be used. A connection that names it is refused. */
  readonly refused?: string;
}

const NO_KERBEROS = 'Kerberos is not supported';
const NO_SUCH_OPTION = 'Node.js cannot set it for a connection';
const NO_OAUTH = 'OAuth is not supported';
const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/**
 * The connection parameters of libpq 18 (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS).
 * Each is used, or refused by name: none is ignored, because it could be the one that makes the connection safe.
 */
export const PARAMETERS: Readonly<Record<string, Parameter>> = {
  host: { variable: 'PGHOST' },
  hostaddr: { variable: 'PGHOSTADDR' },
  port: { variable: 'PGPORT' },
  dbname: { variable: 'PGDATABASE' },
  user: { variable: 'PGUSER' },
  password: { variable: 'PGPASSWORD' },
  passfile: { variable: 'PGPASSFILE' },
  service: { variable: 'PGSERVICE' },
  servicefile: { variable: 'PGSERVICEFILE' },
  options: { variable: 'PGOPTIONS' },
  connect_timeout: { variable: 'PGCONNECT_TIMEOUT' },
  target_session_attrs: {
    variable: 'PGTARGETSESSIONATTRS',
    values: ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
  },
  load_balance_hosts: { variable: 'PGLOADBALANCEHOSTS', values: ['disable', 'random'] },
  keepalives: { values: ['0', '1'] },
  keepalives_idle: {},
  keepalives_interval: { refused: NO_SUCH_OPTION },
  keepalives_count: { refused: NO_SUCH_OPTION },
  tcp_user_timeout: { refused: NO_SUCH_OPTION },

  sslmode: { variable: 'PGSSLMODE', values: SSL_MODES },
  sslnegotiation: { variable: 'PGSSLNEGOTIATION', values: ['postgres', 'direct'] },
  sslrootcert: { variable: 'PGSSLROOTCERT' },
  sslcert: { variable: 'PGSSLCERT' },
  sslkey: { variable: 'PGSSLKEY' },
  sslpassword: {},
  sslcertmode: { variable: 'PGSSLCERTMODE', values: ['disable', 'allow'] },
  sslcrl: { variable: 'PGSSLCRL' },
  sslcrldir: { variable: 'PGSSLCRLDIR', refused: 'give one file with sslcrl' },
  sslsni: { variable: 'PGSSLSNI', values: ['1'] },
  // No server compresses since PostgreSQL 14.
  sslcompression: { variable: 'PGSSLCOMPRESSION', values: ['0', '1'] },
  ssl_min_protocol_version: { variable: 'PGSSLMINPROTOCOLVERSION', values: VERSIONS },
  ssl_max_protocol_version: { variable: 'PGSSLMAXPROTOCOLVERSION', values: VERSIONS },
  sslkeylogfile: { refused: 'it would write the keys of the connection into a file' },
  channel_binding: { variable: 'PGCHANNELBINDING', values: ['disable', 'prefer', 'require'] },
  require_auth: { variable: 'PGREQUIREAUTH' },
  requirepeer: { variable: 'PGREQUIREPEER', refused: NO_SUCH_OPTION },
  min_protocol_version: { variable: 'PGMINPROTOCOLVERSION', values: ['3.0'] },
  max_protocol_version: { variable: 'PGMAXPROTOCOLVERSION', values: ['3.0', '3.2', 'latest'] },
  gssencmode: { variable: 'PGGSSENCMODE', values: ['disable', 'prefer'] },
  krbsrvname: { variable: 'PGKRBSRVNAME', refused: NO_KERBEROS },
  gsslib: { variable: 'PGGSSLIB', refused: NO_KERBEROS },
  gssdelegation: { variable: 'PGGSSDELEGATION', values: ['0'] },
  scram_client_key: { refused: 'give the password' },
  scram_server_key: { refused: 'give the password' },
  oauth_issuer: { refused: NO_OAUTH },
  oauth_client_id: { refused: NO_OAUTH },
  oauth_client_secret: { refused: NO_OAUTH },
  oauth_scope: { refused: NO_OAUTH },
  replication: { values: ['false', 'off', 'no', '0'] },

  // Every session of this product sets these itself. The migration command gets them unchanged.
  application_name: { variable: 'PGAPPNAME' },
  fallback_application_name: {},
  client_encoding: { variable: 'PGCLIENTENCODING' },
};

/** Values that name nothing secret, so that a message may repeat them. */
const AUTHENTICATION_METHODS = ['password', 'md5', 'scram-sha-256', 'none'];

/**
 * Checks the name and the value of each parameter of one source.
 * @throws ConnectionError that names the parameter, and the valid values
 */
export function checkEach(parameters: ConnectionParameters): void {
  for (const [name, value] of Object.entries(parameters)) checkParameter(name, value);
}

/**
 * Checks the parameters of all sources together, as far as that is possible without files and without a connection.
 * @throws ConnectionError that names the parameters
 */
export function checkTogether(parameters: ConnectionParameters): void {
  const { sslmode, sslrootcert, sslnegotiation, host = '', hostaddr, require_auth: methods } = parameters;
  const isWeak = sslmode !== undefined && sslmode !== 'verify-full';
  if (sslrootcert === 'system' && isWeak) {
    throw new ConnectionError(
      `sslmode=${sslmode} is too weak for sslrootcert=system: any owner of a domain has a certificate of these authorities. ` +
        'Use sslmode=verify-full.',
    );
  }
  const isOptional = sslmode === undefined || ['disable', 'allow', 'prefer'].includes(sslmode);
  if (sslnegotiation === 'direct' && isOptional && sslrootcert !== 'system') {
    throw new ConnectionError('sslnegotiation=direct needs sslmode=require, verify-ca or verify-full.');
  }
  checkLists(parameters);
  if (hostaddr !== undefined && sslmode === 'verify-full' && host === '') {
    throw new ConnectionError(
      'sslmode=verify-full compares the certificate with the name of the host: give host in addition to hostaddr.',
    );
  }
  checkMethods(methods);
}

function checkParameter(name: string, value: string): void {
  const known = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
  if (known === undefined) {
    throw new ConnectionError(
      `"${shownName(name)}" is not a connection parameter of libpq. Remove it. Parameters: ${Object.keys(PARAMETERS).toSorted().join(', ')}.`,
    );
  }
  const { variable, values, refused } = known;
  const names = variable === undefined ? name : `${name} (variable ${variable})`;
  if (refused !== undefined) throw new ConnectionError(`${names} cannot be used: ${refused}.`);
  if (values !== undefined && !values.includes(value)) {
    throw new ConnectionError(`${names} must be ${listOf(values)}.`);
  }
  if (/^(connect_timeout|keepalives_idle)$/.test(name) && !/^-?\d{1,6}$/.test(value)) {
    throw new ConnectionError(`${names} must be a number of seconds.`);
  }
}

/** A name of a parameter can be the end of a password that someone has not encoded. */
function shownName(name: string): string {
  return /^[a-z_]{1,40}$/i.test(name) ? name : '…';
}

function listOf(values: readonly string[]): string {
  return values.length === 1 ? String(values[0]) : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

function checkLists({ host, hostaddr, port }: ConnectionParameters): void {
  if (host?.split(',').some((name) => name.startsWith('@'))) {
    throw new ConnectionError('host cannot be an abstract socket (@NAME). Give the folder of the socket.');
  }
  const count = (host ?? hostaddr ?? '').split(',').length;
  if (host !== undefined && hostaddr !== undefined && hostaddr.split(',').length !== count) {
    throw new ConnectionError('host and hostaddr must have the same number of entries.');
  }
  const wrong = hostaddr?.split(',').find((address) => address !== '' && isIP(address) === 0);
  if (wrong !== undefined) throw new ConnectionError('hostaddr (variable PGHOSTADDR) must be an IP address.');
  const ports = (port ?? '').split(',');
  if (ports.length !== 1 && ports.length !== count) {
    throw new ConnectionError(
      `There are ${ports.length} ports for ${count} hosts. Give one port, or one for each host.`,
    );
  }
  if (
    ports.some(
      (text) => text !== '' && !(/^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536),
    )
  ) {
    throw new ConnectionError('port (variable PGPORT) must be a number from 1 to 65535.');
  }
}

function checkMethods(text: string | undefined): void {
  if (text === undefined) return;
  const methods = text.split(',');
  const isKnown = methods.every((method) => AUTHENTICATION_METHODS.includes(method.replace(/^!/, '')));
  const negated = methods.filter((method) => method.startsWith('!')).length;
  if (!isKnown || (negated > 0 && negated < methods.length)) {
    throw new ConnectionError(
      `require_auth (variable PGREQUIREAUTH) must be a list of ${AUTHENTICATION_METHODS.join(', ')}; either all of them begin with ! or none.`,
    );
  }
}
