import {
  type ConnectionParameters,
  ConnectionUriError,
  isConnectionUri,
  parseConnectionUri,
} from '../../lambdas/postgres/connection-uri.ts';
import { ConnectionError } from './connection-parameters.ts';

const FORM =
  'Write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE. The form "host=HOST dbname=DATABASE" works too.';

/**
 * Reads a connection string in one of libpq's two forms: a URI, or KEYWORD=VALUE separated by blanks.
 * @throws ConnectionError that does not quote the text, because it may contain a password
 */
export function parseConnectionString(text: string): ConnectionParameters {
  if (isConnectionUri(text)) return parseUri(text);
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (scheme !== undefined) {
    throw new ConnectionError(
      `The database URL must start with postgres://, but it starts with ${scheme.toLowerCase()}://. ${FORM}`,
    );
  }
  if (!text.includes('=')) throw new ConnectionError(`The database URL is not a valid URL. ${FORM}`);
  return parsePairs(text);
}

function parseUri(text: string): ConnectionParameters {
  let parameters: Record<string, string>;
  try {
    parameters = { ...parseConnectionUri(text) };
  } catch (error) {
    if (!(error instanceof ConnectionUriError)) throw error;
    throw new ConnectionError(`The database URL is not a valid URL. ${error.message} ${FORM}`);
  }
  // libpq accepts the parameter of JDBC.
  if (parameters.ssl === 'true') {
    delete parameters.ssl;
    parameters.sslmode ??= 'require';
  }
  // It asks node-postgres for the meanings that all parameters have here.
  if (parameters.uselibpqcompat === 'true') delete parameters.uselibpqcompat;
  return parameters;
}

/** A keyword, blanks around an equals sign, and a value: in single quotes, or up to the next blank. */
const PAIR = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?)(?=\s|$)/sy;

function parsePairs(text: string): ConnectionParameters {
  const parameters: Record<string, string> = {};
  PAIR.lastIndex = 0;
  while (text.slice(PAIR.lastIndex).trim() !== '') {
    const [, name, quoted, plain = ''] = PAIR.exec(text) ?? [];
    if (name === undefined) {
      throw new ConnectionError(
        'The connection string must contain KEYWORD=VALUE, separated by blanks. Put a value with blanks in single quotes, and ' +
          'write a backslash before a single quote or a backslash in a value.',
      );
    }
    const value = (quoted ?? plain).replace(/\\(.)/gs, '$1');
    if (value !== '') parameters[name] = value;
  }
  return parameters;
}

/** Writes KEYWORD=VALUE pairs. */
export function formatPairs(parameters: ConnectionParameters): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name}=${/^[\w.,/:*-]+$/.test(value) ? value : quoted(value)}`)
    .join(' ');
}

function quoted(value: string): string {
  return `'${value.replace(/['\\]/g, '\\$&')}'`;
}
