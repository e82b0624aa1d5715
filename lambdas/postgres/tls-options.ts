import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import tls, { type ConnectionOptions, type PeerCertificate } from 'node:tls';
import type { ConnectionParameters } from './connection-uri.ts';

/*
 * TLS as libpq does it: https://www.postgresql.org/docs/current/libpq-ssl.html. node-postgres gives the same names of sslmode
 * other meanings, so its own reading of a URL is not used.
 */

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** How the attempts to reach one host are encrypted, in this order. `false`: not at all. */
export function encryptionsOf(parameters: ConnectionParameters, host: string): (ConnectionOptions | false)[] {
  const mode = sslModeOf(parameters);
  // A Unix socket does not leave the machine. libpq ignores sslmode there.
  if (host.startsWith('/') || mode === 'disable') return [false];
  const encrypted = tlsOptions(parameters, host);
  if (mode === 'allow') return [false, encrypted];
  return mode === 'prefer' ? [encrypted, false] : [encrypted];
}

/** @throws Error when the mode does not exist */
export function sslModeOf({ sslmode, sslrootcert }: ConnectionParameters): SslMode {
  const mode = sslmode ?? (sslrootcert === 'system' ? 'verify-full' : 'prefer');
  const known = SSL_MODES.find((name) => name === mode);
  if (known === undefined) throw new Error(`sslmode must be one of ${SSL_MODES.join(', ')}.`);
  return known;
}

/** @throws Error when a file of the parameters cannot be read */
function tlsOptions(parameters: ConnectionParameters, host: string): ConnectionOptions {
  const { sslrootcert, sslcrl, sslcert, sslkey, sslpassword } = parameters;
  const { ssl_min_protocol_version: min, ssl_max_protocol_version: max } = parameters;
  const mode = sslModeOf(parameters);
  if (mode.startsWith('verify') && sslrootcert === undefined) {
    throw new Error(
      `sslmode=${mode} needs sslrootcert, a file with the certificates of the authorities that you trust, or sslrootcert=system.`,
    );
  }
  return {
    // As in libpq, a root certificate is used in every mode: the chain is then verified with require too.
    rejectUnauthorized: sslrootcert !== undefined,
    ...(sslrootcert !== undefined && { ca: authoritiesOf(sslrootcert) }),
    ...(sslcrl !== undefined && sslrootcert !== undefined && { crl: readFileSync(sslcrl, 'utf8') }),
    ...(sslcert !== undefined && { cert: readFileSync(sslcert, 'utf8') }),
    ...(sslcert !== undefined && sslkey !== undefined && { key: readFileSync(sslkey, 'utf8') }),
    ...(sslpassword !== undefined && { passphrase: sslpassword }),
    ...(min !== undefined && { minVersion: min as tls.SecureVersion }),
    ...(max !== undefined && { maxVersion: max as tls.SecureVersion }),
    checkServerIdentity: (_name, certificate) =>
      mode === 'verify-full' ? identityProblem(host, certificate) : undefined,
  };
}

/** The certificates of a file, or of the operating system. SSL_CERT_FILE and SSL_CERT_DIR replace the latter, as in OpenSSL. */
function authoritiesOf(sslrootcert: string): string | string[] {
  if (sslrootcert !== 'system') return readFileSync(sslrootcert, 'utf8');
  if (typeof tls.getCACertificates !== 'function') {
    throw new Error(
      'sslrootcert=system needs Node.js 22.15 or newer. Give the file with the certificates instead.',
    );
  }
  return tls.getCACertificates('system');
}

/** Compares a certificate with the name of the host. Like libpq, it uses the common name if there is no other name. */
function identityProblem(host: string, certificate: PeerCertificate): Error | undefined {
  const problem = tls.checkServerIdentity(host, certificate);
  const hasOnlyCommonName = certificate.subjectaltname === undefined;
  if (problem !== undefined && isIP(host) !== 0 && hasOnlyCommonName && certificate.subject.CN === host)
    return;
  return problem;
}

const CODES_OF_TLS =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO|CERT_|CRL_|DEPTH_|SELF_SIGNED|UNABLE_TO_|INVALID_|HOSTNAME_)/;

/** Why TLS with a server is not possible. Undefined: the error has another reason. */
export function tlsProblem(
  error: unknown,
  { host, parameters }: { readonly host: string; readonly parameters: ConnectionParameters },
): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error ? String(error.code) : '';
  const mode = sslModeOf(parameters);
  const problem = (what: string) =>
    new Error(`No TLS connection to ${host} (sslmode=${mode}): ${what}`, { cause: error });
  // node-postgres sets no code on these two (Connection.connect).
  if (error.message === 'The server does not support SSL connections') {
    return problem(
      'the server does not support TLS. Set ssl = on in postgresql.conf, or use another sslmode.',
    );
  }
  if (error.message === 'There was an error establishing an SSL connection') {
    return problem('the server answered with an error. Does a PostgreSQL server use this port?');
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return problem(
      'the certificate of the server is not for this host name. Use a name that the certificate contains, or sslmode=verify-ca.',
    );
  }
  if (/^(DEPTH_ZERO_SELF|SELF_SIGNED|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|CERT_SIGNATURE)/.test(code)) {
    return problem(
      `no authority in ${parameters.sslrootcert} has signed the certificate of the server (${code}). Set sslrootcert to the ` +
        'certificate of its authority.',
    );
  }
  return CODES_OF_TLS.test(code) ? problem(`${error.message} (${code})`) : undefined;
}
