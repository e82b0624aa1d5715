import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { verifyingTls } from '../../lambdas/postgres/server-certificate.ts';
import type { DatabaseVariables } from '../../lambdas/shared/database-variables.ts';
import { certificatesOf } from '../../lib/functions/ship-certificates.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type Certificates, createCertificates, installCertificate } from '../connection/certificates.ts';
import { MAJORS } from '../support/servers.ts';

const PASSWORD = 'of-the-test-server';
const SECRET_ARN = 'arn:aws:secretsmanager:eu-west-1:222222222222:secret:prod/postgres-AbCdEf';

describe('the authorities that are shipped with the functions', () => {
  const authorities = () =>
    certificatesOf(undefined, '/')
      .split(/(?<=-----END CERTIFICATE-----)\n/)
      .filter((pem) => pem.trim() !== '')
      .map((pem) => new X509Certificate(pem));

  test("are Amazon's for RDS, of each kind and region, and valid for the next years", () => {
    const regions = new Map<string, string[]>();
    for (const { subject, ca, validTo, issuer } of authorities()) {
      expect({ subject, ca, issuer }).toMatchObject({ ca: true, issuer: subject });
      // Node.js escapes the comma, or not, depending on its version.
      expect(subject.replaceAll('\\', '')).toContain('O=Amazon Web Services, Inc.');
      expect(new Date(validTo).getTime()).toBeGreaterThan(Date.now() + 5 * 365 * 86_400_000);
      const [, region = '', kind = ''] = /CN=Amazon RDS ([\w-]+) Root CA (\w+) G1/.exec(subject) ?? [subject];
      regions.set(region, [...(regions.get(region) ?? []), kind].sort());
    }
    expect([...regions.values()]).toEqual(Array(regions.size).fill(['ECC384', 'RSA2048', 'RSA4096']));
    expect(regions.size).toBeGreaterThan(25);
    for (const region of [
      'us-east-1',
      'us-west-2',
      'eu-west-1',
      'eu-central-1',
      'ap-northeast-1',
      'sa-east-1',
    ])
      expect([...regions.keys()]).toContain(region);
  });
});

describe('the file of a private authority is refused at synth', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-ca-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    ['nowhere.pem', null, 'the file cannot be read: ENOENT'],
    ['empty.pem', 'nothing', 'it contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)'],
    [
      'key.pem',
      '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----',
      'it contains a private key. Use a file with the certificates only.',
    ],
    [
      'broken.pem',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      'certificate 1: it cannot be read',
    ],
  ])('%s', (name, content, message) => {
    if (content !== null) writeFileSync(join(folder, name), content);

    expect(() => certificatesOf(name, folder)).toThrow(`database.caFile: ${join(folder, name)}: ${message}`);
  });
});

const hasOpenssl = isInstalled();
if (!hasOpenssl)
  console.warn(
    'NOT TESTED: openssl is not installed, so no function connects to a server with a certificate.',
  );

function isInstalled(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('the certificates of these tests can be created, or a warning says that they cannot', () => {
  expect(SUITES.length > 0).toBe(hasOpenssl);
});

/** Without openssl there are no certificates, and vitest wants a suite in each file. */
const SUITES = hasOpenssl ? MAJORS : [];

describe.each(SUITES)('a function, PostgreSQL %i', (major) => {
  let folder: string;
  let server: EmbeddedPostgres;
  let withoutTls: EmbeddedPostgres;
  let certificates: Certificates;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-tls-'));
    certificates = createCertificates(folder);
    certificates.authority('ca');
    certificates.authority('other-ca');
    certificates.signed('server', {
      by: 'ca',
      subject: 'db.example',
      names: 'DNS:db.example,DNS:writer.example',
    });
    writeFileSync(
      join(folder, 'both.pem'),
      certificatesOf('other-ca.crt', folder) + certificatesOf('ca.crt', folder),
    );
    server = await startEmbeddedPostgres({ major, tcp: true, password: PASSWORD });
    installCertificate(certificates, 'server', server.dataDirectory);
    appendFileSync(join(server.dataDirectory, 'postgresql.conf'), 'ssl = on\n');
    await server.restart('immediate');
    withoutTls = await startEmbeddedPostgres({ major, tcp: true, password: PASSWORD });
  });
  afterAll(async () => {
    await server?.stop('immediate');
    await withoutTls?.stop('immediate');
    rmSync(folder, { recursive: true, force: true });
  });

  const rdsFile = () => {
    const file = join(folder, 'rds.pem');
    writeFileSync(file, certificatesOf(undefined, folder));
    return file;
  };

  const secret = JSON.stringify({ username: 'postgres', password: PASSWORD, dbname: 'postgres' });
  const connect = async (variables: Partial<DatabaseVariables>, to = server) =>
    await withClient(
      databaseOf(
        {
          ...{ DATABASE_SECRET_ARN: SECRET_ARN, DATABASE_HOST: 'localhost', DATABASE_PORT: String(to.port) },
          ...variables,
        },
        { readSecret: async () => secret },
      ),
      'test',
      async (client) => {
        const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
        return rows;
      },
    );

  test.each(['ca.crt', 'both.pem'])(
    'connects if the authority of %s has signed the certificate',
    async (file) => {
      const variables = { DATABASE_CA_FILE: join(folder, file), DATABASE_SERVER_NAME: 'writer.example' };

      expect(await connect(variables)).toEqual([{ ssl: true }]);
    },
  );

  test.each<[string, () => Partial<DatabaseVariables>, string]>([
    [
      'a certificate of an authority that is not one of Amazon or Node.js',
      () => ({ RDS_CERTIFICATES_FILE: rdsFile(), DATABASE_SERVER_NAME: 'db.example' }),
      "the authority that signed the certificate of the server is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE): it is not one of Amazon's for RDS. Set database.caFile to the certificate of your own authority.",
    ],
    [
      'a certificate of another authority than that of database.caFile',
      () => ({ DATABASE_CA_FILE: join(folder, 'other-ca.crt'), DATABASE_SERVER_NAME: 'db.example' }),
      'the authority that signed the certificate of the server is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE): it is not in database.caFile. For RDS with a certificate of Amazon, remove database.caFile.',
    ],
    [
      'a certificate for another name than the host',
      () => ({ DATABASE_CA_FILE: join(folder, 'ca.crt') }),
      'the certificate of the server is not for the name localhost, but for DNS:db.example, DNS:writer.example. Set database.serverName to a name of the certificate',
    ],
    [
      'a certificate for another name than database.serverName',
      () => ({ DATABASE_CA_FILE: join(folder, 'ca.crt'), DATABASE_SERVER_NAME: 'localhost' }),
      'the certificate of the server is not for the name localhost, but for DNS:db.example',
    ],
  ])('refuses %s, and says what to change', async (_what, variables, message) => {
    await expect(connect(variables())).rejects.toThrow(`No TLS connection to localhost: ${message}`);
  });

  test('refuses a server without TLS, and sends no password', async () => {
    await expect(connect({ RDS_CERTIFICATES_FILE: rdsFile() }, withoutTls)).rejects.toThrow(
      'No TLS connection to localhost: the server does not support TLS.',
    );
  });

  test('with the authorities that are shipped still trusts those of Node.js, which sign the certificates of RDS Proxy', () => {
    const { ca } = verifyingTls({ RDS_CERTIFICATES_FILE: rdsFile() });

    expect(ca).toEqual([...tls.getCACertificates('default'), readFileSync(rdsFile(), 'utf8')]);
  });

  test('logs in with IAM: each connection gets a new token, over verified TLS', async () => {
    const tokens: string[] = [];
    const superuser = new pg.Client({ connectionString: server.url() });
    await superuser.connect();
    await superuser.query('create role deploy_iam login');
    const database = databaseOf(
      {
        ...{ DATABASE_IAM_USER: 'deploy_iam', DATABASE_HOST: 'localhost', DATABASE_NAME: 'postgres' },
        ...{ DATABASE_PORT: String(server.port), DATABASE_CA_FILE: join(folder, 'ca.crt') },
        DATABASE_SERVER_NAME: 'db.example',
      },
      {
        signToken: async (login) => {
          tokens.push(`token-${tokens.length} of ${login.username} at ${login.hostname}:${login.port}`);
          return tokens.at(-1) ?? '';
        },
      },
    );
    const token = (number: number) => `token-${number} of deploy_iam at localhost:${server.port}`;

    try {
      for (const number of [0, 1]) {
        await superuser.query(`alter role deploy_iam password '${token(number)}'`);
        const rows = await withClient(database, 'test', async (client) => {
          const { rows: found } = await client.query(
            'select current_user as role, ssl from pg_stat_ssl where pid = pg_backend_pid()',
          );
          return found;
        });
        expect(rows).toEqual([{ role: 'deploy_iam', ssl: true }]);
      }
      expect(tokens).toEqual([token(0), token(1)]);

      const error = await withClient(database, 'test', async () => {}).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({
        name: 'BuildFailed',
        message: expect.stringContaining(
          'The database localhost refused the login of "deploy_iam" with IAM: password authentication failed for user "deploy_iam" (SQLSTATE 28P01). Check that IAM database authentication is enabled for the database, that the role has it (GRANT rds_iam TO "deploy_iam";)',
        ),
      });
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain('token-');
    } finally {
      await superuser.query('drop role deploy_iam');
      await superuser.end();
    }
  });
});
