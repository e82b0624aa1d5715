import { lstatSync, readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import {
  type ConnectionParameters,
  formatConnectionUri,
  isConnectionUri,
  parseConnectionUri,
} from '../../lambdas/postgres/connection-uri.ts';
import { sslModeOf } from '../../lambdas/postgres/tls-options.ts';
import { ConnectionError, checkEach, checkTogether, PARAMETERS } from './connection-parameters.ts';
import { userFile } from './home-folder.ts';
import { formatPairs, parseConnectionString } from './parse-connection-string.ts';
import { readPasswordFile } from './password-file.ts';
import { readService } from './service-file.ts';

/** A connection with everything that it needs: no variable, service or password file is read again. */
export interface ResolvedConnection {
  /** A connection URI with the password. It is for variables of processes only, never for a command line or a text. */
  readonly url: string;
  /** What the user gave, with *** in place of a password. */
  readonly given: string;
  /** What was not used, and why. */
  readonly warnings: readonly string[];
}

/** The word that takes the connection from the variables. */
export const FROM_VARIABLES = 'env';

/** One of these says which database is meant. PGUSER and PGPASSWORD alone do not. */
const NAMES_A_DATABASE = ['PGHOST', 'PGHOSTADDR', 'PGDATABASE', 'PGSERVICE'];

/**
 * Resolves a connection as libpq does. A parameter comes from the connection string, else from its service, else from the
 * variable, else from a default; the password at last from the password file.
 * @param text a URI, KEYWORD=VALUE pairs, or `env`: DATABASE_URL if it is set, otherwise the variables alone
 * @throws ConnectionError that contains no password
 */
export function resolveConnection(
  text: string,
  variables: NodeJS.ProcessEnv = process.env,
): ResolvedConnection {
  const source = text === FROM_VARIABLES ? variables.DATABASE_URL || null : text;
  if (source === null && !NAMES_A_DATABASE.some((name) => variables[name])) {
    throw new ConnectionError(
      `The variables name no database. Set DATABASE_URL, or one of ${NAMES_A_DATABASE.join(', ')}.`,
    );
  }
  const given = source === null ? {} : parseConnectionString(source);
  checkEach(given);
  const fromVariables = readVariables(variables);
  const { service = fromVariables.service, servicefile = fromVariables.servicefile } = given;
  const fromService = service === undefined ? {} : readService(service, servicefile, variables);
  checkEach(fromService);
  checkEach(fromVariables);
  const merged = { ...fromVariables, ...fromService, ...given };
  checkTogether(merged);
  const { passfile, service: _service, servicefile: _file, ...parameters } = withDefaults(merged);
  const withFiles = withCertificates(parameters, variables);
  const { password, warnings } = passwordOf(withFiles, passfile, variables);
  const complete = password === undefined ? withFiles : { ...withFiles, password };
  const scheme = source?.startsWith('postgres://') ? 'postgres' : 'postgresql';
  return {
    url: formatConnectionUri(complete).replace(/^postgresql/, scheme),
    given: text === FROM_VARIABLES ? text : masked(text, given),
    warnings,
  };
}

function readVariables(variables: NodeJS.ProcessEnv): ConnectionParameters {
  const found = Object.entries(PARAMETERS).flatMap(([name, { variable }]): [string, string][] => {
    const value = variable === undefined ? undefined : variables[variable];
    return value === undefined || value === '' ? [] : [[name, value]];
  });
  // The predecessor of PGSSLMODE.
  const requires: [string, string][] = variables.PGREQUIRESSL === '1' ? [['sslmode', 'require']] : [];
  return Object.fromEntries([...requires, ...found]);
}

const SOCKET_FOLDERS = ['/var/run/postgresql', '/tmp'];
const DEFAULT_PORT = '5432';

function withDefaults(parameters: ConnectionParameters): Record<string, string> {
  const { hostaddr, port = DEFAULT_PORT, user = userOfSystem() } = parameters;
  const host = (parameters.host ?? (hostaddr === undefined ? '' : undefined))
    ?.split(',')
    .map((name, index) => name || (hostaddr?.split(',')[index] ?? defaultHost(portAt(port, index))))
    .join(',');
  const ports = port.split(',').map((one) => one || DEFAULT_PORT);
  return {
    ...parameters,
    ...(host !== undefined && { host }),
    ...{ port: ports.join(','), user, dbname: parameters.dbname ?? user },
  };
}

function userOfSystem(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container a user id can have no name.
    throw new ConnectionError('Give the user (variable PGUSER): the user of this process has no name.');
  }
}

function portAt(port: string, index: number): string {
  const ports = port.split(',');
  return (ports.length === 1 ? ports[0] : ports[index]) || DEFAULT_PORT;
}

/**
 * The Unix socket of a server on this machine, otherwise localhost. Every user can create a socket in /tmp: one there is used
 * only if it belongs to root or to this user.
 */
function defaultHost(port: string): string {
  const owners = [0, process.getuid?.()];
  const folder = SOCKET_FOLDERS.find((candidate) => {
    const stat = lstatSync(path.join(candidate, `.s.PGSQL.${port}`), { throwIfNoEntry: false });
    return stat?.isSocket() === true && (candidate !== '/tmp' || owners.includes(stat.uid));
  });
  return folder ?? 'localhost';
}

/** Adds the files of ~/.postgresql that libpq uses by default, and makes paths independent of the working directory. */
function withCertificates(
  parameters: ConnectionParameters,
  variables: NodeJS.ProcessEnv,
): ConnectionParameters {
  const defaultOf = (name: string) =>
    userFile(variables, { name: path.join('.postgresql', name), onWindows: name });
  const hosts = (parameters.host ?? '').split(',');
  if (hosts.every((host) => host.startsWith('/')) || parameters.sslmode === 'disable') return parameters;
  const file = (name: string, fallback: string) => {
    const given = parameters[name];
    const found = path.resolve(given ?? defaultOf(fallback));
    if (given === undefined) return exists(found) ? { [name]: found } : {};
    if (exists(found)) return { [name]: found };
    throw new ConnectionError(`The file of ${name} does not exist: ${found}.`);
  };
  const root = parameters.sslrootcert === 'system' ? {} : file('sslrootcert', 'root.crt');
  if (
    sslModeOf(parameters).startsWith('verify') &&
    parameters.sslrootcert !== 'system' &&
    root.sslrootcert === undefined
  ) {
    throw new ConnectionError(
      `sslmode=${parameters.sslmode} needs the certificates of the authorities that you trust. Set sslrootcert (variable ` +
        `PGSSLROOTCERT) to a file, or to system for those of the operating system, or create ${defaultOf('root.crt')}.`,
    );
  }
  const usesCertificate = parameters.sslcertmode !== 'disable';
  const certificate = usesCertificate ? file('sslcert', 'postgresql.crt') : {};
  const key = certificate.sslcert === undefined ? {} : file('sslkey', 'postgresql.key');
  if (certificate.sslcert !== undefined && key.sslkey === undefined) {
    throw new ConnectionError(
      `The certificate ${certificate.sslcert} has no key. Set sslkey (variable PGSSLKEY).`,
    );
  }
  if (key.sslkey !== undefined) checkKey(key.sslkey, parameters.sslpassword);
  const { sslcert: _certificate, sslkey: _key, ...others } = parameters;
  return {
    ...others,
    ...root,
    ...(parameters.sslcrl === undefined ? {} : file('sslcrl', '')),
    ...certificate,
    ...key,
  };
}

function exists(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/** The rules of libpq: only the owner reads a key; a key of root can also be read by its group. */
function checkKey(file: string, password: string | undefined): void {
  const { mode, uid } = statSync(file);
  const allowed = uid === 0 && process.getuid?.() !== 0 ? 0o640 : 0o600;
  if (process.platform !== 'win32' && (mode & 0o777 & ~allowed & 0o077) !== 0) {
    throw new ConnectionError(`The private key ${file} can be read by other users. Run chmod 600 ${file}.`);
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConnectionError(
      `The private key ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
    );
  }
  if (password === undefined && /ENCRYPTED/.test(text)) {
    throw new ConnectionError(`The private key ${file} is encrypted. Set sslpassword.`);
  }
}

/** @throws ConnectionError when the password file has different passwords for the hosts, because a URL has one */
function passwordOf(
  parameters: ConnectionParameters,
  passfile: string | undefined,
  variables: NodeJS.ProcessEnv,
): { password: string | undefined; warnings: readonly string[] } {
  const { password, host, hostaddr = '', port = '', user = '', dbname = '' } = parameters;
  if (password !== undefined) return { password, warnings: [] };
  const file = readPasswordFile(passfile, variables);
  const names = (host ?? hostaddr).split(',');
  const found = names.map((name, index) =>
    file.find({
      host: SOCKET_FOLDERS.includes(name) ? 'localhost' : name,
      port: portAt(port, index),
      database: dbname,
      user,
    }),
  );
  if (new Set(found).size > 1) {
    throw new ConnectionError(
      `The password file has not the same password for all hosts (${names.join(', ')}). Give one host, or set PGPASSWORD.`,
    );
  }
  return { password: found[0], warnings: file.warning === null ? [] : [file.warning] };
}

const SECRETS = ['password', 'sslpassword'];

function masked(text: string, given: ConnectionParameters): string {
  if (!SECRETS.some((name) => given[name] !== undefined)) return text;
  const shown = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, SECRETS.includes(name) ? '***' : value]),
  );
  if (!isConnectionUri(text)) return formatPairs(shown);
  return formatConnectionUri(shown).replace(/^postgresql/, text.slice(0, text.indexOf(':')));
}

/** The database of a connection URI for messages, with its user, and *** in place of a password. */
export function shownDatabase(url: string): string {
  const { user = '', password, host = '', hostaddr = '', port = '', dbname = '' } = parseConnectionUri(url);
  const shown = {
    user,
    host: host || hostaddr,
    port,
    dbname,
    ...(password !== undefined && { password: '***' }),
  };
  return formatConnectionUri(shown).replace(/^postgresql/, url.slice(0, url.indexOf(':')));
}
