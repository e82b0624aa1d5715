import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Certificates in a folder: NAME.crt and NAME.key. */
export interface Certificates {
  path(name: string): string;
  /** Creates an authority that has signed itself. */
  authority(name: string): void;
  /** Creates a certificate that an authority has signed. @param names as in openssl: DNS:localhost,IP:127.0.0.1. Empty: none */
  signed(
    name: string,
    options: { readonly by: string; readonly subject: string; readonly names: string },
  ): void;
}

/** Needs the program openssl. */
export function createCertificates(folder: string): Certificates {
  const path = (name: string) => join(folder, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const key = (name: string) => {
    openssl(
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-out',
      path(`${name}.key`),
    );
  };
  return {
    path,
    authority(name) {
      key(name);
      openssl(
        'req',
        '-x509',
        '-new',
        '-key',
        path(`${name}.key`),
        '-days',
        '2',
        '-subj',
        `/CN=${name}`,
        '-out',
        path(`${name}.crt`),
      );
    },
    signed(name, { by, subject, names }) {
      key(name);
      openssl(
        'req',
        '-new',
        '-key',
        path(`${name}.key`),
        '-subj',
        `/CN=${subject}`,
        '-out',
        path(`${name}.csr`),
      );
      writeFileSync(path(`${name}.ext`), names === '' ? '' : `subjectAltName=${names}\n`);
      openssl(
        ...[
          'x509',
          '-req',
          '-in',
          path(`${name}.csr`),
          '-CA',
          path(`${by}.crt`),
          '-CAkey',
          path(`${by}.key`),
        ],
        ...['-CAcreateserial', '-days', '2', '-extfile', path(`${name}.ext`), '-out', path(`${name}.crt`)],
      );
    },
  };
}

/** Puts a certificate and its key into the data directory of a server, with the owner and the mode of its other files. */
export function installCertificate(certificates: Certificates, name: string, dataDirectory: string): void {
  for (const kind of ['crt', 'key']) {
    const target = join(dataDirectory, `server.${kind}`);
    copyFileSync(join(dataDirectory, 'PG_VERSION'), target);
    execFileSync('chown', ['--reference', join(dataDirectory, 'PG_VERSION'), target]);
    execFileSync('chmod', ['600', target]);
    writeFileSync(target, readFileSync(certificates.path(`${name}.${kind}`)));
  }
}
