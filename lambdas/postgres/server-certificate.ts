import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import tls, { type ConnectionOptions, type PeerCertificate } from 'node:tls';
import type { DatabaseVariables } from '../shared/database-variables.ts';
import { BuildFailed } from '../shared/errors.ts';

/*
 * How a function verifies the certificate of the database. A run on this machine uses the parameters of libpq instead: see
 * tls-options.ts.
 */

type CertificateVariables = Pick<
  DatabaseVariables,
  'RDS_CERTIFICATES_FILE' | 'DATABASE_CA_FILE' | 'DATABASE_SERVER_NAME'
>;

/**
 * TLS with verification of the certificate and of its name. The files are in the folder of the function's code.
 * @throws Error when the file of the certificates cannot be read
 */
export function verifyingTls(variables: CertificateVariables): ConnectionOptions {
  const { RDS_CERTIFICATES_FILE: amazon, DATABASE_CA_FILE: own, DATABASE_SERVER_NAME: name } = variables;
  const read = (file: string) => readFileSync(resolve(import.meta.dirname, file), 'utf8');
  return {
    rejectUnauthorized: true,
    // The option replaces the authorities of Node.js, with which Amazon also signs certificates (RDS Proxy).
    ...(amazon !== undefined && { ca: [...tls.getCACertificates('default'), read(amazon)] }),
    ...(own !== undefined && { ca: read(own) }),
    ...(name !== undefined && {
      checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
        tls.checkServerIdentity(name, certificate),
    }),
  };
}

const NOT_SIGNED =
  /^(DEPTH_ZERO_SELF|SELF_SIGNED|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|CERT_SIGNATURE|CERT_UNTRUSTED)/;

/** The error with what to change in the configuration, if TLS with the database is not possible. Any other error as it is. */
export function explainCertificateError(
  error: unknown,
  variables: CertificateVariables & { host: string },
): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error ? String(error.code) : '';
  const { host, DATABASE_CA_FILE: own, DATABASE_SERVER_NAME: name } = variables;
  const problem = (text: string) =>
    new BuildFailed(`No TLS connection to ${host}: ${text}`, { cause: error });
  if (error.message === 'The server does not support SSL connections') {
    return problem(
      'the server does not support TLS. Set ssl = on in its configuration (rds.force_ssl in the parameter group of RDS).',
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = 'cert' in error ? namesOf(error.cert as PeerCertificate) : '';
    return problem(
      `the certificate of the server is not for the name ${name ?? host}${names}. Set database.serverName to a name of the ` +
        'certificate, if this is the right server: for a CNAME that is the endpoint of the database.',
    );
  }
  if (code === 'CERT_HAS_EXPIRED')
    return problem(
      'the certificate of the server has expired. Rotate it: for RDS, modify the database with a current CertificateAuthority.',
    );
  if (NOT_SIGNED.test(code)) {
    const authority =
      own === undefined
        ? "it is not one of Amazon's for RDS. Set database.caFile to the certificate of your own authority"
        : 'it is not in database.caFile. For RDS with a certificate of Amazon, remove database.caFile';
    return problem(
      `the authority that signed the certificate of the server is not trusted (${code}): ${authority}.`,
    );
  }
  return error;
}

function namesOf({ subject, subjectaltname }: PeerCertificate): string {
  const names = subjectaltname ?? subject?.CN;
  return names === undefined ? '' : `, but for ${[names].flat().join(', ')}`;
}
