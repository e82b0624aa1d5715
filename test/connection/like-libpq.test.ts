import { execFile, execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient } from '../../lambdas/postgres/connect.ts';
import { resolveConnection } from '../../lib/connection/resolve-connection.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { MAJORS } from '../support/servers.ts';
import { type Certificates, createCertificates, installCertificate } from './certificates.ts';

/*
 * Each connection is opened by this product, and by psql if it is installed: both must come to the same end. psql is the
 * proof that the expected results are libpq's.
 */
const hasPsql = isInstalled('psql', '--version');
if (!hasPsql) {
  console.warn(
    'NOT TESTED: psql is not installed, so the connections are not compared with those of libpq (Debian: apt-get install postgresql-client).',
  );
}
const hasOpenssl = isInstalled('openssl', 'version');
if (!hasOpenssl) {
  console.warn('NOT TESTED: openssl is not installed, so there are no certificates for tests of TLS.');
}

function isInstalled(program: string, argument: string): boolean {
  try {
    execFileSync(program, [argument], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

type Ended = 'tls' | 'plain' | 'refused';

const SQL = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';

async function connected(
  text: string,
  variables: NodeJS.ProcessEnv,
): Promise<{ ended: Ended; message: string }> {
  let client: Awaited<ReturnType<typeof connectClient>>;
  try {
    const { url } = resolveConnection(text, variables);
    client = await connectClient(
      { connectionString: url },
      { application_name: 'test', connectionTimeoutMillis: 30_000 },
    );
  } catch (error) {
    return { ended: 'refused', message: (error as Error).message };
  }
  try {
    const { rows } = await client.query<{ ssl: boolean }>(SQL);
    return { ended: rows[0]?.ssl ? 'tls' : 'plain', message: '' };
  } finally {
    await client.end();
  }
}

async function connectedByPsql(text: string, variables: NodeJS.ProcessEnv): Promise<Ended> {
  try {
    const { stdout } = await promisify(execFile)('psql', ['-XAtc', SQL, text], {
      env: { PATH: process.env.PATH, ...variables },
    });
    return stdout.trim() === 't' ? 'tls' : 'plain';
  } catch {
    return 'refused';
  }
}

const FORMS = [
  ['as pairs', (pairs: string) => pairs],
  [
    'as a URI',
    (pairs: string) => {
      const query = pairs.split(' ').map((pair) => {
        const at = pair.indexOf('=');
        return `${pair.slice(0, at)}=${encodeURIComponent(pair.slice(at + 1))}`;
      });
      return `postgresql:///?${query.join('&')}`;
    },
  ],
] as const;

/** Without openssl there are no certificates, and vitest wants a suite in each file. */
const SUITES = hasOpenssl ? MAJORS : [];

test('the certificates of these tests can be created, or a warning says that they cannot', () => {
  expect(SUITES.length > 0).toBe(hasOpenssl);
});

describe.each(SUITES)('PostgreSQL %i', (major) => {
  let folder: string;
  let certificates: Certificates;
  let server: EmbeddedPostgres;
  let withoutTls: EmbeddedPostgres;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-tls-'));
    certificates = createCertificates(folder);
    certificates.authority('ca');
    certificates.authority('other-ca');
    certificates.signed('server', { by: 'ca', subject: 'db.example', names: 'DNS:localhost,IP:127.0.0.1' });
    certificates.signed('foreign', { by: 'ca', subject: 'db.example', names: 'DNS:db.example' });
    certificates.signed('client', { by: 'ca', subject: 'postgres', names: '' });
    withoutTls = await startEmbeddedPostgres({ major, tcp: true, password: PASSWORD });
    server = await startEmbeddedPostgres({ major, tcp: true, password: PASSWORD });
    await serve('server');
  });
  afterAll(async () => {
    await server?.stop('immediate');
    await withoutTls?.stop('immediate');
    rmSync(folder, { recursive: true, force: true });
  });

  const PASSWORD = 'of-the-test';

  /** Starts the server again with another certificate and other rules for clients. */
  async function serve(
    certificate: string,
    rules = 'host all all 127.0.0.1/32 scram-sha-256',
  ): Promise<void> {
    installCertificate(certificates, certificate, server.dataDirectory);
    writeFileSync(certificates.path('root.crt'), readFileSync(certificates.path('ca.crt')));
    installRoot();
    appendFileSync(join(server.dataDirectory, 'postgresql.conf'), "ssl = on\nssl_ca_file = 'root.crt'\n");
    writeFileSync(join(server.dataDirectory, 'pg_hba.conf'), `local all all scram-sha-256\n${rules}\n`);
    await server.restart('immediate');
  }

  function installRoot(): void {
    const target = join(server.dataDirectory, 'root.crt');
    writeFileSync(target, readFileSync(certificates.path('ca.crt')));
    chmodSync(target, 0o644);
  }

  /** @param text names the certificates as $ca, $other-ca and so on */
  async function expectEnd(
    text: string,
    expected: Ended,
    message?: RegExp,
    port = server.port,
  ): Promise<void> {
    const pairs = `host=localhost port=${port} user=postgres dbname=postgres ${text}`
      .replaceAll(/\$([\w-]+\.\w+)/g, (_, name: string) => certificates.path(name))
      .trim();
    const variables = { HOME: folder, PGPASSWORD: PASSWORD };
    for (const [form, write] of FORMS) {
      const whole = write(lastOfEach(pairs));
      const found = await connected(whole, variables);
      expect(found.ended, `${form}: ${text}: ${found.message}`).toBe(expected);
      if (message !== undefined) expect(found.message).toMatch(message);
      if (hasPsql) expect(await connectedByPsql(whole, variables), `psql, ${form}: ${text}`).toBe(expected);
    }
  }

  const CHECKS: [string, Ended, RegExp?][] = [
    ['sslmode=disable', 'plain'],
    ['sslmode=allow', 'plain'],
    ['', 'tls'],
    ['sslmode=prefer', 'tls'],
    ['sslmode=require', 'tls'],
    ['sslmode=verify-ca', 'refused', /needs the certificates of the authorities/],
    ['sslmode=verify-full', 'refused', /needs the certificates of the authorities/],
    // A root certificate is used in every mode.
    ['sslmode=require sslrootcert=$ca.crt', 'tls'],
    ['sslmode=require sslrootcert=$other-ca.crt', 'refused', /no authority in .*other-ca\.crt has signed/],
    ['sslmode=prefer sslrootcert=$other-ca.crt', 'plain'],
    ['sslmode=verify-ca sslrootcert=$ca.crt', 'tls'],
    ['sslmode=verify-ca sslrootcert=$other-ca.crt', 'refused', /no authority in .*other-ca\.crt has signed/],
    ['sslmode=verify-full sslrootcert=$ca.crt', 'tls'],
    ['sslmode=verify-full sslrootcert=$ca.crt host=127.0.0.1', 'tls'],
    ['sslmode=verify-full sslrootcert=$other-ca.crt', 'refused', /no authority/],
    [
      'sslmode=verify-full sslrootcert=$ca.crt host=another.example hostaddr=127.0.0.1',
      'refused',
      /not for this host name/,
    ],
    ['sslmode=verify-ca sslrootcert=$ca.crt host=another.example hostaddr=127.0.0.1', 'tls'],
    ['sslmode=require channel_binding=require', 'tls'],
    [
      'sslmode=disable channel_binding=require',
      'refused',
      /channel_binding=require: the server does not offer/,
    ],
    ['ssl_min_protocol_version=TLSv1.3', 'tls'],
    ['ssl_max_protocol_version=TLSv1.2', 'tls'],
  ];

  test.each(CHECKS)('a server with TLS: %s: %s', async (text, ended, message) => {
    await expectEnd(text, ended, message);
  });

  test.each<[string, Ended, RegExp?]>([
    ['sslmode=disable', 'plain'],
    ['sslmode=allow', 'plain'],
    ['sslmode=prefer', 'plain'],
    ['sslmode=require', 'refused', /the server does not support TLS/],
    ['sslmode=verify-ca sslrootcert=$ca.crt', 'refused', /the server does not support TLS/],
    ['sslmode=verify-full sslrootcert=$ca.crt', 'refused', /the server does not support TLS/],
    ['channel_binding=require', 'refused', /channel_binding=require/],
  ])('a server without TLS: %s: %s', async (text, ended, message) => {
    await expectEnd(text, ended, message, withoutTls.port);
  });

  test('the password of a wrong authority is not sent: the server sees no attempt to authenticate', async () => {
    const before = readFileSync(server.logFile, 'utf8').length;
    await expectEnd('sslmode=verify-full sslrootcert=$other-ca.crt', 'refused');
    expect(readFileSync(server.logFile, 'utf8').slice(before)).not.toContain('authentication');
  });

  test('the modes follow what the rules of the server accept', async () => {
    await serve('server', 'hostssl all all 127.0.0.1/32 scram-sha-256');
    try {
      await expectEnd('sslmode=allow', 'tls');
      await expectEnd('sslmode=prefer', 'tls');
      await expectEnd('sslmode=disable', 'refused', /no pg_hba\.conf entry/);
      await serve('server', 'hostnossl all all 127.0.0.1/32 scram-sha-256');
      await expectEnd('sslmode=prefer', 'plain');
      await expectEnd('sslmode=allow', 'plain');
      await expectEnd('sslmode=require', 'refused', /no pg_hba\.conf entry/);
    } finally {
      await serve('server');
    }
  });

  test('a certificate for another host is refused by verify-full only', async () => {
    await serve('foreign');
    try {
      await expectEnd('sslmode=verify-full sslrootcert=$ca.crt', 'refused', /not for this host name/);
      await expectEnd('sslmode=verify-full sslrootcert=$ca.crt host=db.example hostaddr=127.0.0.1', 'tls');
      await expectEnd('sslmode=verify-ca sslrootcert=$ca.crt', 'tls');
    } finally {
      await serve('server');
    }
  });

  test('a certificate of the client is sent if it is given', async () => {
    await serve('server', 'hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full');
    try {
      await expectEnd('sslmode=require', 'refused', /certificate/);
      await expectEnd('sslmode=require sslcert=$client.crt sslkey=$client.key', 'tls');
      await expectEnd('sslmode=require sslcert=$client.crt sslkey=$client.key sslrootcert=$ca.crt', 'tls');
    } finally {
      await serve('server');
    }
  });

  test('a method of authentication that is not allowed gets no password', async () => {
    await serve('server', 'host all all 127.0.0.1/32 password');
    try {
      const text = `host=localhost port=${server.port} user=postgres password=${PASSWORD} sslmode=disable`;
      const variables = { HOME: folder };
      expect(await connected(text, variables)).toMatchObject({ ended: 'plain' });
      for (const refused of [
        'require_auth=scram-sha-256',
        'require_auth=!password',
        'channel_binding=require',
      ]) {
        const { ended, message } = await connected(`${text} ${refused}`, variables);
        expect(ended).toBe('refused');
        expect(message).toContain('so the password is not sent');
      }
      expect(await connected(`${text} require_auth=password,md5`, variables)).toMatchObject({
        ended: 'plain',
      });
    } finally {
      await serve('server');
    }
  });

  test('sslrootcert=system uses the authorities of the operating system, and verifies the name', async () => {
    const text = `host=localhost port=${server.port} user=postgres sslrootcert=system`;
    const { message } = await connected(text, { HOME: folder, PGPASSWORD: PASSWORD });
    expect(message).toMatch(/sslmode=verify-full\): no authority in system has signed/);
    const code = `
      import { connectClient } from ${JSON.stringify(join(import.meta.dirname, '../../lambdas/postgres/connect.ts'))};
      const client = await connectClient(
        { connectionString: process.env.DATABASE_URL }, { application_name: 'test', connectionTimeoutMillis: 30000 });
      console.log(JSON.stringify((await client.query(${JSON.stringify(SQL)})).rows));
      await client.end();`;
    const { url } = resolveConnection(text, { HOME: folder, PGPASSWORD: PASSWORD });
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
      cwd: join(import.meta.dirname, '../..'),
      env: { PATH: process.env.PATH, DATABASE_URL: url, SSL_CERT_FILE: certificates.path('ca.crt') },
    });
    expect(JSON.parse(stdout)).toEqual([{ ssl: true }]);
  });

  test('sslnegotiation=direct starts with TLS, which servers before 17 refuse', async () => {
    const text = `host=localhost port=${server.port} user=postgres sslmode=require sslnegotiation=direct`;
    const { ended } = await connected(text, { HOME: folder, PGPASSWORD: PASSWORD });
    expect(ended).toBe(major >= 17 ? 'tls' : 'refused');
  });

  test('several hosts are tried in their order, and target_session_attrs chooses among them', async () => {
    const variables = { HOME: folder, PGPASSWORD: PASSWORD };
    const hosts = `host=127.0.0.1,localhost user=postgres sslmode=disable`;
    const closed = await closedPort();
    expect(await connected(`${hosts} port=${closed},${server.port}`, variables)).toMatchObject({
      ended: 'plain',
    });
    const ports = `port=${withoutTls.port},${server.port}`;
    expect(await connected(`${hosts} ${ports} target_session_attrs=read-only`, variables)).toMatchObject({
      ended: 'refused',
      message: expect.stringMatching(
        /^None of the hosts can be used\. 127\.0\.0\.1:\d+: The server is a primary that accepts writes, but target_session_attrs=read-only is required\.; localhost:\d+: /,
      ),
    });
    for (const wanted of ['read-write', 'primary', 'prefer-standby', 'any']) {
      const text = `${hosts} ${ports} target_session_attrs=${wanted}`;
      expect((await connected(text, variables)).ended).toBe('plain');
      if (hasPsql) expect(await connectedByPsql(text, variables)).toBe('plain');
    }
    // As in libpq, a wrong password ends the search.
    const wrong = await connected(`${hosts} ${ports}`, { HOME: folder, PGPASSWORD: 'wrong' });
    expect(wrong.message).toBe('password authentication failed for user "postgres"');
  });

  test('variables of this process do not change a connection that is resolved', async () => {
    const { url } = resolveConnection(
      `host=localhost port=${server.port} user=postgres password=${PASSWORD}`,
      {
        HOME: folder,
      },
    );
    const variables = {
      PGOPTIONS: '-c nonsense=1',
      PGSSLMODE: 'disable',
      PGHOST: 'nowhere',
      PGDATABASE: 'nowhere',
    };
    const before = { ...process.env };
    Object.assign(process.env, variables);
    try {
      const client = await connectClient(
        { connectionString: url },
        { application_name: 'test', connectionTimeoutMillis: 30_000 },
      );
      expect((await client.query(SQL)).rows).toEqual([{ ssl: true }]);
      await client.end();
      expect(process.env).toMatchObject(variables);
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name];
      Object.assign(process.env, before);
    }
  });

  test('a password that is missing is reported with the places for it', async () => {
    const { message } = await connected(`host=localhost port=${server.port} user=postgres`, { HOME: folder });
    expect(message).toMatch(
      /asks for the password of the user "postgres", and none is given\. Set PGPASSWORD, or add a line/,
    );
  });
});

/** The last value of each keyword, as libpq reads pairs. */
function lastOfEach(pairs: string): string {
  const values = new Map(pairs.split(' ').map((pair) => [pair.split('=')[0], pair]));
  return [...values.values()].join(' ');
}

async function closedPort(): Promise<number> {
  const { createServer } = await import('node:net');
  const listener = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const address = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 1;
}
