import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import {
  asOtherAccount,
  CAN_BE_OTHER_ACCOUNT,
  OTHER_ACCOUNT,
  testWithOtherAccount,
} from '../support/other-account.ts';
import { MAJORS } from '../support/servers.ts';

/*
 * Attacks of another account on the same machine. They need root, which can become another user. Another user's view is the
 * same without root, but cannot be taken.
 */
const servers: EmbeddedPostgres[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop('immediate');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function start(...options: Parameters<typeof startEmbeddedPostgres>): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(...options);
  servers.push(server);
  return server;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'pg-deploy-step-access-'));
  folders.push(folder);
  return folder;
}

/** The content of a file. Empty: the server has removed it, or the process has ended. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return '';
  }
}

async function query(config: string | pg.ClientConfig, sql: string): Promise<unknown[]> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** What a client needs to know: everything but the password. */
function addressOf(server: EmbeddedPostgres): pg.ClientConfig {
  return { host: server.host, port: server.port, user: 'postgres', database: 'postgres' };
}

describe.each(MAJORS)('an embedded server, PostgreSQL %i', (major) => {
  test('has a password of its own, which is required on every connection', async () => {
    const [one, two] = await Promise.all([start({ major, tcp: true }), start({ major })]);
    expect(one.password).not.toBe(two.password);
    expect(one.password).toMatch(/^[\w-]{32,}$/);
    const rules = await query(
      one.url(),
      `select distinct auth_method from pg_hba_file_rules union all select current_setting('password_encryption')`,
    );
    expect(rules).toEqual([{ auth_method: 'scram-sha-256' }, { auth_method: 'scram-sha-256' }]);
    const tcp = { ...addressOf(one), host: '127.0.0.1' };
    for (const address of [addressOf(one), tcp]) {
      for (const password of ['postgres', 'wrong', two.password]) {
        await expect(query({ ...address, password }, 'select 1')).rejects.toMatchObject({ code: '28P01' });
      }
      await expect(query({ ...address, password: '' }, 'select 1')).rejects.toThrow(/password must be/);
      expect(await query({ ...address, password: one.password }, 'select 1 as n')).toEqual([{ n: 1 }]);
    }
  });

  test('listens on a socket in a private folder, and on no port', async () => {
    const server = await start({ major });
    const folder = server.host;
    expect(path.isAbsolute(folder)).toBe(true);
    expect(lstatSync(folder).isDirectory()).toBe(true);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder)).toContain(`.s.PGSQL.${server.port}`);
    const [settings] = await query(
      server.url(),
      `select current_setting('listen_addresses') as addresses, current_setting('unix_socket_permissions') as mode`,
    );
    expect(settings).toEqual({ addresses: '', mode: '0700' });
  });

  test('writes its password to no file, log or command line', async () => {
    const server = await start({ major });
    await expect(query({ ...addressOf(server), password: 'wrong' }, 'select 1')).rejects.toThrow();
    await server.restart();
    const files = readdirSync(path.dirname(server.dataDirectory), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    expect(files).toContain(server.logFile);
    for (const file of files) expect(textOf(file).includes(server.password), file).toBe(false);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      expect(textOf(`/proc/${pid}/cmdline`)).not.toContain(server.password);
    }
  });

  test('keeps its files private under umask 000', async () => {
    const before = process.umask(0o000);
    let server: EmbeddedPostgres;
    try {
      server = await start({ major });
    } finally {
      process.umask(before);
    }
    const root = path.dirname(server.dataDirectory);
    for (const file of [root, server.dataDirectory]) {
      expect(statSync(file).mode & 0o077, file).toBe(0);
    }
    for (const file of [server.logFile, path.join(server.dataDirectory, 'postgresql.conf')]) {
      expect(statSync(file).mode & 0o177, file).toBe(0);
    }
  });

  testWithOtherAccount('is out of reach of another account', async () => {
    const server = await start({ major });
    const [{ size } = { size: 0 }] = (await query(
      server.url(),
      'select pg_database_size(current_database())::int as size',
    )) as { size: number }[];
    expect(size).toBeGreaterThan(0);
    const socket = path.join(server.host, `.s.PGSQL.${server.port}`);
    const place = temporaryFolder();
    const seen = await asOtherAccount(
      place,
      `return {
         socket: await connected(${JSON.stringify(socket)}),
         port: await connected(${server.port}, '127.0.0.1'),
         folder: attempt(() => fs.readdirSync(${JSON.stringify(path.dirname(server.dataDirectory))})),
         log: attempt(() => fs.readFileSync(${JSON.stringify(server.logFile)}, 'utf8')),
         data: attempt(() => fs.readFileSync(${JSON.stringify(path.join(server.dataDirectory, 'PG_VERSION'))}, 'utf8')),
       };`,
    );
    expect(seen).toEqual({
      socket: 'EACCES',
      port: 'ECONNREFUSED',
      folder: 'EACCES',
      log: 'EACCES',
      data: 'EACCES',
    });
  });
});

test('a server whose temporary folder has a long name puts its socket into another private folder', async () => {
  const place = temporaryFolder();
  // If root runs the test, the server runs as another user.
  chmodSync(place, 0o755);
  const long = path.join(place, 'a-name-that-leaves-no-room-for-a-socket', 'and-another-one');
  mkdirSync(long, { recursive: true });
  const before = process.env.TMPDIR;
  process.env.TMPDIR = long;
  let server: EmbeddedPostgres;
  try {
    server = await start();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
  expect(server.dataDirectory.startsWith(long)).toBe(true);
  expect(path.dirname(server.host)).toBe('/tmp');
  expect(statSync(server.host).mode & 0o777).toBe(0o700);
  expect(await query(server.url(), 'select 1 as n')).toEqual([{ n: 1 }]);
  await server.stop();
  expect(readdirSync('/tmp')).not.toContain(path.basename(server.host));
});

test('a folder of a cluster that belongs to another user, or is a link, is refused', async () => {
  const place = temporaryFolder();
  const target = path.join(place, 'target');
  mkdirSync(target);
  const link = path.join(place, 'link');
  symlinkSync(target, link);
  await expect(start({ directory: link })).rejects.toThrow(`${link} is not a folder`);
  if (!CAN_BE_OTHER_ACCOUNT) return;
  chownSync(target, OTHER_ACCOUNT, OTHER_ACCOUNT);
  await expect(start({ directory: target })).rejects.toThrow(`${target} belongs to another user`);
  expect(readdirSync(target)).toEqual([]);
});
