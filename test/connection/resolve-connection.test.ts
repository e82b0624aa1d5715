import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type ConnectionParameters,
  formatConnectionUri,
  parseConnectionUri,
} from '../../lambdas/postgres/connection-uri.ts';
import { ConnectionError } from '../../lib/connection/connection-parameters.ts';
import { formatPairs, parseConnectionString } from '../../lib/connection/parse-connection-string.ts';
import { resolveConnection, shownDatabase } from '../../lib/connection/resolve-connection.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pg-deploy-step-connection-'));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

function file(name: string, text: string, mode = 0o600): string {
  const path = join(home, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function resolved(text: string, variables: NodeJS.ProcessEnv = {}): ConnectionParameters {
  return parseConnectionUri(resolveConnection(text, { HOME: home, ...variables }).url);
}

function refusal(text: string, variables: NodeJS.ProcessEnv = {}): string {
  try {
    resolveConnection(text, { HOME: home, ...variables });
  } catch (error) {
    expect(error).toBeInstanceOf(ConnectionError);
    return (error as Error).message;
  }
  throw new Error('The connection was not refused.');
}

describe('the forms of a connection string', () => {
  test.each<[string, ConnectionParameters]>([
    ['postgres://u:p@h:1/d', { user: 'u', password: 'p', host: 'h', port: '1', dbname: 'd' }],
    ['postgresql://u@h/d', { user: 'u', host: 'h', port: '5432', dbname: 'd' }],
    [
      'postgres://u:a%40b%2F%3A%25@h/d',
      { user: 'u', password: 'a@b/:%', host: 'h', port: '5432', dbname: 'd' },
    ],
    // The WHATWG parser would end the URL at the #.
    ['postgres://u:a#b?c@h/d', { user: 'u', password: 'a#b?c', host: 'h', port: '5432', dbname: 'd' }],
    ['postgres://u@[::1]:6/d', { user: 'u', host: '::1', port: '6', dbname: 'd' }],
    ['postgres://u@%2Ftmp%2Fs:6/d', { user: 'u', host: '/tmp/s', port: '6', dbname: 'd' }],
    ['postgres://u@/d?host=/tmp/s&port=6', { user: 'u', host: '/tmp/s', port: '6', dbname: 'd' }],
    ['postgres://u@a:1,b:2/d', { user: 'u', host: 'a,b', port: '1,2', dbname: 'd' }],
    ['postgres://u@a,b:2/d', { user: 'u', host: 'a,b', port: '5432,2', dbname: 'd' }],
    [
      'postgres://u@h/d?ssl=true&options=-c%20work_mem%3D1MB',
      { user: 'u', host: 'h', port: '5432', dbname: 'd', sslmode: 'require', options: '-c work_mem=1MB' },
    ],
    [
      'postgres://u@h/d?sslmode=require&uselibpqcompat=true',
      { user: 'u', host: 'h', port: '5432', dbname: 'd', sslmode: 'require' },
    ],
    ['host=h user=u', { user: 'u', host: 'h', port: '5432', dbname: 'u' }],
    [
      String.raw`host = h  port=1 user='the user' password='it\'s \\' dbname=a\ b`,
      { user: 'the user', password: String.raw`it's \ `.trimEnd(), host: 'h', port: '1', dbname: 'a b' },
    ],
    [
      'host=a,b port=7 user=u dbname=d target_session_attrs=read-write',
      { user: 'u', host: 'a,b', port: '7', dbname: 'd', target_session_attrs: 'read-write' },
    ],
  ])('%s', (text, expected) => {
    const found = resolved(text);
    const ports = found.port?.split(',') ?? [];
    const port = new Set(ports).size === 1 ? ports[0] : found.port;
    expect({ ...found, port }).toEqual(expected);
  });

  test.each<[string, RegExp]>([
    ['hunter2', /not a valid URL/],
    ['mysql://u:hunter2@h/d', /must start with postgres:\/\/, but it starts with mysql:\/\//],
    ['postgres://u:hunter2%@h/d', /password in the URL contains a %/],
    ['postgres://u:hunter2@h:x/d', /The port in the URL must be a number/],
    ['postgres://u:hunter2@::1/d', /Write an IPv6 address in brackets/],
    ['postgres://u:hunter2@h/d?sslmode', /PARAMETER=VALUE/],
    ['postgres://u:hunter2@h/d?schema=public', /"schema" is not a connection parameter of libpq/],
    ['postgres://u:hunter2@h/d?toString=1', /"toString" is not a connection parameter/],
    [
      'postgres://u:hunter2@h/d?sslmode=no-verify',
      /sslmode \(variable PGSSLMODE\) must be disable, allow, prefer, require, verify-ca or verify-full/,
    ],
    ["host=h password='hunter2", /KEYWORD=VALUE/],
    ["host=h password=hunter2'x y", /KEYWORD=VALUE|"…" is not/],
    ['host=a,b port=1,2,3 password=hunter2', /3 ports for 2 hosts/],
    ['host=a,b hostaddr=127.0.0.1 password=hunter2', /same number of entries/],
    ['host=h hostaddr=localhost password=hunter2', /hostaddr .* must be an IP address/],
    ['host=h require_auth=!md5,password password=hunter2', /require_auth/],
    ['host=h sslmode=require sslnegotiation=direct sslrootcert=system password=hunter2', /too weak/],
    ['host=h sslnegotiation=direct password=hunter2', /sslnegotiation=direct needs/],
    [
      'host=h sslmode=verify-full password=hunter2',
      /sslmode=verify-full needs the certificates.*PGSSLROOTCERT/,
    ],
    [
      'host=h sslrootcert=/nowhere/ca.crt password=hunter2',
      /file of sslrootcert does not exist: \/nowhere\/ca\.crt/,
    ],
  ])('%s is refused, and the message does not contain the password', (text, message) => {
    const found = refusal(text);
    expect(found).toMatch(message);
    expect(found).not.toContain('hunter2');
  });

  test.each([
    'keepalives_interval=1',
    'tcp_user_timeout=1',
    'sslcrldir=/x',
    'requirepeer=x',
    'krbsrvname=x',
    'gssencmode=require',
    'sslsni=0',
    'sslcertmode=require',
    'replication=database',
    'sslkeylogfile=/x',
    'oauth_issuer=x',
    'scram_client_key=x',
    'min_protocol_version=3.2',
  ])('a parameter without the effect that libpq gives it is refused by name: %s', (text) => {
    const [name = ''] = text.split('=');
    expect(refusal(`host=h ${text}`)).toContain(name);
  });
});

describe('every value survives', () => {
  const text = fc
    .string({ unit: 'binary', minLength: 1 })
    .filter((value) => !value.includes('\0') && value.isWellFormed());
  const values = fc.record(
    { user: text, password: text, dbname: text, options: text, application_name: text },
    { requiredKeys: ['user'] },
  );

  test('in a URI', () => {
    fc.assert(
      fc.property(values, (parameters) => {
        const given = { ...parameters, host: 'a,::1,/tmp/s', port: '1,2,3' };
        expect(parseConnectionUri(formatConnectionUri(given))).toEqual(given);
      }),
      { numRuns: 1000 },
    );
  });

  test('in pairs', () => {
    fc.assert(
      fc.property(values, (parameters) => {
        expect(parseConnectionString(formatPairs(parameters))).toEqual(parameters);
      }),
      { numRuns: 1000 },
    );
  });

  test('of any text, no message of a refusal repeats more than a name', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('', 'postgres://', 'host=h ', 'postgres://u@h/d?'),
        (rest, start) => {
          const secret = `hunter2${rest}`;
          try {
            parseConnectionString(`${start}${secret}`);
          } catch (error) {
            expect((error as Error).message).not.toContain('hunter2');
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('the variables', () => {
  const VARIABLES = {
    PGHOST: 'h',
    PGPORT: '7',
    PGUSER: 'u',
    PGDATABASE: 'd',
    PGPASSWORD: 'p',
    PGSSLMODE: 'require',
    PGOPTIONS: '-c work_mem=1MB',
    PGCONNECT_TIMEOUT: '4',
    PGAPPNAME: 'mine',
    PGTARGETSESSIONATTRS: 'read-write',
    PGHOSTADDR: '127.0.0.1',
    PGCHANNELBINDING: 'require',
  };

  test('complete a connection string, which has priority', () => {
    expect(resolved('postgres://me@other/', { ...VARIABLES, PGHOSTADDR: '' })).toEqual({
      ...{ user: 'me', password: 'p', host: 'other', port: '7', dbname: 'd', sslmode: 'require' },
      ...{ options: '-c work_mem=1MB', connect_timeout: '4', application_name: 'mine' },
      ...{ target_session_attrs: 'read-write', channel_binding: 'require' },
    });
  });

  test('are enough with env, if they name a database', () => {
    expect(resolved('env', VARIABLES)).toMatchObject({
      user: 'u',
      host: 'h',
      hostaddr: '127.0.0.1',
      port: '7',
      dbname: 'd',
    });
    expect(refusal('env', { PGUSER: 'u', PGPASSWORD: 'hunter2' })).toMatch(
      /^The variables name no database\. Set DATABASE_URL, or one of PGHOST, PGHOSTADDR, PGDATABASE, PGSERVICE\.$/,
    );
  });

  test('DATABASE_URL is the connection string of env, in both forms', () => {
    const variables = { PGPASSWORD: 'p', PGHOST: 'not-this' };
    expect(resolved('env', { ...variables, DATABASE_URL: 'postgres://u@h/d' })).toMatchObject({
      host: 'h',
      password: 'p',
    });
    expect(resolved('env', { ...variables, DATABASE_URL: 'dbname=d user=u' })).toMatchObject({
      host: 'not-this',
      dbname: 'd',
    });
  });

  test('DATABASE_URL has no effect on another connection string', () => {
    expect(resolved('host=h user=u', { DATABASE_URL: 'postgres://x:y@z/w' })).toEqual({
      host: 'h',
      port: '5432',
      user: 'u',
      dbname: 'u',
    });
  });

  test('the user is that of the operating system by default, and the database has the name of the user', () => {
    const { username } = userInfo();
    expect(resolved('host=h')).toEqual({ host: 'h', port: '5432', user: username, dbname: username });
  });

  test('a variable that cannot be used is refused by name', () => {
    expect(refusal('host=h', { PGREQUIREPEER: 'postgres' })).toContain(
      'requirepeer (variable PGREQUIREPEER) cannot be used',
    );
    expect(refusal('host=h', { PGSSLMODE: 'no-verify' })).toContain('PGSSLMODE');
  });
});

describe('a service', () => {
  const SERVICES = `# services\n\n[other]\nhost=wrong\n\n[shop]\nhost=h\nport=7\nuser=u\npassword=of the service\ndbname=d\n`;

  test('has priority over the variables, and the connection string has priority over it', () => {
    file('.pg_service.conf', SERVICES);
    const variables = { PGSERVICE: 'shop', PGHOST: 'not-this', PGPASSWORD: 'not-this', PGSSLMODE: 'require' };
    const expected = {
      host: 'h',
      port: '7',
      user: 'u',
      password: 'of the service',
      dbname: 'd',
      sslmode: 'require',
    };
    expect(resolved('env', variables)).toEqual(expected);
    expect(resolved('service=shop user=me', { ...variables, PGSERVICE: 'other' })).toEqual({
      ...expected,
      user: 'me',
    });
    expect(resolved('postgres://me@/?service=shop', {})).toMatchObject({ host: 'h', user: 'me' });
  });

  test('comes from PGSERVICEFILE, else from the file of the system', () => {
    const own = file('own.conf', '[shop]\nhost=own\n');
    file('etc/pg_service.conf', '[shop]\nhost=system\n[only]\nhost=system\n');
    const variables = { PGSERVICEFILE: own, PGSYSCONFDIR: join(home, 'etc') };
    expect(resolved('service=shop', variables)).toMatchObject({ host: 'own' });
    expect(resolved('service=only', variables)).toMatchObject({ host: 'system' });
    expect(refusal('service=none', variables)).toContain(
      `The service "none" (PGSERVICE) is in none of these files: ${own}, `,
    );
  });

  test('with a wrong line is refused with its place, without its content', () => {
    const own = file('own.conf', '[shop]\nhost=h\npassword hunter2\n');
    const message = refusal('service=shop', { PGSERVICEFILE: own });
    expect(message).toBe(`${own}:3: the line is not [SERVICE] and not PARAMETER=VALUE.`);
    expect(refusal('service=shop', { PGSERVICEFILE: file('b.conf', '[shop]\ncolour=red\n') })).toContain(
      '"colour"',
    );
  });
});

describe('the password file', () => {
  const LINES = [
    '# HOST:PORT:DATABASE:USER:PASSWORD',
    'h:7:d:u:first',
    'h:7:d:u:second',
    String.raw`h:*:*:u:with\:colon\\and backslash`,
    '*:*:d:other:any host',
    'localhost:*:d:u:of the socket',
    '/run/own:*:d:u:of another socket',
    '127.0.0.1:*:d:u:of the address',
    '::1:*:d:u:wrong, because the colons are not escaped',
    String.raw`\:\:1:*:d:u:of IPv6`,
  ].join('\n');

  test.each([
    ['host=h port=7 user=u dbname=d', 'first'],
    ['host=h port=8 user=u dbname=x', String.raw`with:colon\and backslash`],
    ['host=x user=other dbname=d', 'any host'],
    ['host=/tmp user=u dbname=d', 'of the socket'],
    ['host=/run/own user=u dbname=d', 'of another socket'],
    ['hostaddr=127.0.0.1 user=u dbname=d', 'of the address'],
    ['host=::1 user=u dbname=d', 'of IPv6'],
    ['host=x user=u dbname=d', undefined],
    ['host=h port=7 user=u dbname=d password=given', 'given'],
  ])('%s', (text, password) => {
    file('.pgpass', LINES);
    expect(resolved(text).password).toBe(password);
  });

  test('PGPASSFILE and passfile replace it, and PGPASSWORD has priority', () => {
    file('.pgpass', LINES);
    const other = file('other', 'h:*:*:u:other file');
    expect(resolved('host=h user=u', { PGPASSFILE: other }).password).toBe('other file');
    expect(resolved(`host=h user=u passfile=${other}`).password).toBe('other file');
    expect(resolved('host=h user=u', { PGPASSFILE: other, PGPASSWORD: 'variable' }).password).toBe(
      'variable',
    );
  });

  test('is not used if other users can read it, with a warning', () => {
    const path = file('.pgpass', LINES, 0o640);
    const { url, warnings } = resolveConnection('host=h port=7 user=u dbname=d', { HOME: home });
    expect(parseConnectionUri(url).password).toBeUndefined();
    expect(warnings).toEqual([
      `The password file ${path} can be read by other users, so it is not used. Run chmod 600 ${path}.`,
    ]);
  });

  test('with different passwords for several hosts is refused', () => {
    file('.pgpass', 'a:*:*:u:one\nb:*:*:u:two\nc:*:*:u:one');
    expect(resolved('host=a,c user=u').password).toBe('one');
    expect(refusal('host=a,b user=u')).toMatch(/not the same password for all hosts \(a, b\)/);
  });
});

describe('the files of ~/.postgresql', () => {
  test('are used as in libpq, for TLS only', () => {
    const root = file('.postgresql/root.crt', 'x');
    const certificate = file('.postgresql/postgresql.crt', 'x');
    expect(refusal('host=h user=u')).toContain(`The certificate ${certificate} has no key.`);
    const key = file('.postgresql/postgresql.key', 'x');
    expect(resolved('host=h user=u')).toMatchObject({ sslrootcert: root, sslcert: certificate, sslkey: key });
    expect(resolved('host=h user=u sslcertmode=disable')).not.toHaveProperty('sslcert');
    for (const without of ['host=h user=u sslmode=disable', 'host=/tmp user=u']) {
      expect(resolved(without)).not.toHaveProperty('sslrootcert');
    }
    chmodSync(key, 0o644);
    expect(refusal('host=h user=u')).toBe(
      `The private key ${key} can be read by other users. Run chmod 600 ${key}.`,
    );
  });

  test('an encrypted key needs its password', () => {
    const certificate = file('c.crt', 'x');
    const key = file('c.key', '-----BEGIN ENCRYPTED PRIVATE KEY-----');
    const text = `host=h user=u sslcert=${certificate} sslkey=${key}`;
    expect(refusal(text)).toContain('is encrypted. Set sslpassword.');
    expect(resolved(`${text} sslpassword=s`)).toMatchObject({ sslpassword: 's' });
  });

  test('a relative path is made absolute, because the functions run in another folder', () => {
    const { sslrootcert } = resolved('host=h user=u sslmode=verify-ca sslrootcert=package.json');
    expect(sslrootcert).toBe(join(process.cwd(), 'package.json'));
  });
});

describe('what is shown', () => {
  test.each([
    ['postgres://u:hunter2@h:1/d', 'postgres://u:***@h:1/d'],
    ['postgresql://u@h/d?password=hunter2&sslmode=require', 'postgresql://u:***@h/d?sslmode=require'],
    ['postgres://u@h/d', 'postgres://u@h/d'],
    ['host=h password=hunter2 sslpassword=hunter2 user=u', 'host=h password=*** sslpassword=*** user=u'],
    ['host=h user=u', 'host=h user=u'],
  ])('%s is shown as %s', (text, shown) => {
    expect(resolveConnection(text, { HOME: home }).given).toBe(shown);
  });

  test('env is shown as env, and an address without the password', () => {
    const { given, url } = resolveConnection('env', {
      HOME: home,
      DATABASE_URL: 'postgres://u:hunter2@h/d?sslmode=disable',
    });
    expect(given).toBe('env');
    expect(shownDatabase(url)).toBe('postgres://u:***@h:5432/d');
  });
});
