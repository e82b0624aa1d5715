import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { refusalOfVersion } from '../../lambdas/preflight/check-server.ts';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { createDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS } from '../support/servers.ts';
import { eventually } from '../support/waits.ts';

const ENTRY = { name: 'by_kind', sql: 'create index concurrently if not exists by_kind on events (kind)' };

// Servers of these versions cannot be installed here, so these tests call only the decision.
test.each([
  [90_624, '9.6.24', 'the oldest supported version is 14'],
  [130_023, '13.23', 'the oldest supported version is 14'],
  [140_000, '14.0', 'can build corrupt indexes'],
  [140_003, '14.3', 'can build corrupt indexes'],
])('server version %i is refused', (number, version, message) => {
  expect(refusalOfVersion(number, version)).toContain(`The server runs PostgreSQL ${version}`);
  expect(refusalOfVersion(number, version)).toContain(message);
});

test.each([140_004, 140_020, 150_000, 180_004, 200_001])('server version %i is not refused', (number) => {
  expect(refusalOfVersion(number, 'any')).toBeUndefined();
});

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  test('the preflight accepts a primary, and refuses the same server as a standby', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pg-deploy-step-standby-'));
    const server = await startEmbeddedPostgres({ major, directory, settings: { fsync: 'off' } });
    try {
      const database = await createDatabase({ adminUrl: server.url() });
      await database.query('create table events (kind text)');
      const { preflight } = await openPreflight(database.url, [ENTRY]);
      expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });

      await writeFile(join(server.dataDirectory, 'standby.signal'), '');
      await chmod(join(server.dataDirectory, 'standby.signal'), 0o644);
      await server.restart();

      expect(await preflight()).toMatchObject({
        decision: 'refused',
        refusal: expect.stringContaining(
          'The server is a standby, which is read-only. Set database.host to the primary',
        ),
      });
    } finally {
      await server.stop('immediate');
      await rm(directory, { recursive: true, force: true });
    }
  });
});

/** A port that no program listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port.');
  return address.port;
}

const hasPgbouncer = await promisify(execFile)('pgbouncer', ['--version']).then(
  () => true,
  () => false,
);

if (!hasPgbouncer) {
  console.warn(
    'NOT TESTED: pgbouncer is not installed, so the test with a connection pooler is missing (Debian: apt-get install pgbouncer).',
  );
} else {
  test('a connection through a pooler in transaction mode is refused, and nothing is changed', async () => {
    const database = await createDatabase();
    await database.query('create table events (kind text)');
    const url = new URL(database.url);
    const folder = await mkdtemp(join(tmpdir(), 'pg-deploy-step-pooler-'));
    const port = await freePort();
    await writeFile(join(folder, 'users'), `"${url.username}" "${url.password}"\n`);
    await writeFile(
      join(folder, 'pgbouncer.ini'),
      `[databases]
* = host=127.0.0.1 port=${url.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(folder, 'users')}
pool_mode = transaction
`,
    );
    await promisify(execFile)('chmod', ['-R', 'a+rX', folder]);
    // pgbouncer refuses to run as root.
    const asNobody = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
    const pooler = spawn('pgbouncer', [...asNobody, join(folder, 'pgbouncer.ini')], { stdio: 'pipe' });
    let log = '';
    pooler.stderr.on('data', (chunk) => {
      log += chunk;
    });
    try {
      await eventually(() => log).toContain('process up');
      const pooled = new URL(database.url);
      pooled.host = `127.0.0.1:${port}`;
      const { preflight } = await openPreflight(pooled.href, [ENTRY]);

      const answer = await preflight();

      expect(answer).toMatchObject({
        decision: 'refused',
        refusal: expect.stringMatching(
          /goes through a connection pooler.*Set database.host to the database's own endpoint/,
        ),
      });
      const direct = await openPreflight(database.url, [ENTRY]);
      expect(await direct.preflight()).toMatchObject({ decision: 'deploy', refusal: null });
      expect(await database.query("select to_regnamespace('deploy_step') as ledger")).toEqual([
        { ledger: null },
      ]);
    } finally {
      const ended = once(pooler, 'exit');
      pooler.kill('SIGKILL');
      await ended;
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    }
  });
}
