import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type OtherRun, RunLock } from '../../lib/local/run-lock.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForRows, waitUntil } from '../support/waits.ts';

onEachMajor('the lock of a run', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
    database = await createDatabase({ adminUrl: server.url() });
  });
  afterAll(() => server.stop('immediate'));

  async function open(databaseUrl = database.url, trustedRoles: string[] = []) {
    const taken: OtherRun[] = [];
    return {
      lock: await RunLock.open({ databaseUrl, trustedRoles, onTaken: (by) => taken.push(by) }),
      taken,
    };
  }

  const HOLDERS = `
    select a.pid, a.state, a.xact_start is null and a.backend_xid is null and a.backend_xmin is null as "noTransaction"
      from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted and a.datname = current_database()`;

  async function holders() {
    return await database.query<{ pid: number; state: string; noTransaction: boolean }>(HOLDERS);
  }

  async function waitUntilFree(): Promise<void> {
    await waitUntil('a free lock', async () => (await holders()).length === 0);
  }

  test('is held by an idle session without a transaction or a snapshot, and only by one run', async () => {
    const first = await open();
    const second = await open();

    expect(first.lock.other).toBeNull();
    expect(await first.lock.check()).toBeNull();
    await waitUntil('an idle session', async () => (await holders())[0]?.state === 'idle');
    const [holder] = await holders();
    expect(holder).toMatchObject({ noTransaction: true });
    expect(second.lock.other).toEqual({
      name: expect.stringMatching(`^process ${process.pid} of .+ \\(database session ${holder?.pid}\\)$`),
      startedAt: expect.any(Number),
    });
    expect(await second.lock.check()).toEqual(second.lock.other);

    await second.lock[Symbol.asyncDispose]();
    await first.lock[Symbol.asyncDispose]();
    await waitUntilFree();
    const third = await open();
    expect(third.lock.other).toBeNull();
    await third.lock[Symbol.asyncDispose]();
    await waitUntilFree();
  });

  test('is not released by idle_session_timeout', async () => {
    const role = `idle_${database.name}`;
    await database.query(
      `create role ${role} login password 'x'; alter role ${role} set idle_session_timeout = '2s'`,
    );
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';
    const { lock } = await open(url.href);
    const [before] = await holders();
    const other = await connect(url.href);
    const isEnded = new Promise((resolve) => other.once('end', resolve));

    // The server ends a session that is idle for as long as the lock's.
    await isEnded;

    expect(before).toBeDefined();
    expect((await holders())[0]?.pid).toBe(before?.pid);
    await lock[Symbol.asyncDispose]();
    await waitUntilFree();
    await database.query(`drop role ${role}`);
  });

  test('is acquired again after its session was terminated, and after the server restarted', async () => {
    const { lock, taken } = await open();
    for (const interrupt of [
      async () => void (await database.query(`select pg_terminate_backend(pid) from (${HOLDERS}) h`)),
      async () => await server.restart('immediate'),
    ]) {
      const [before] = await holders();
      await interrupt();
      await waitForRows(database, `select from (${HOLDERS}) h where pid <> $1`, [before?.pid]);
    }
    expect(await lock.check()).toBeNull();
    expect(taken).toEqual([]);
    await lock[Symbol.asyncDispose]();
    await waitUntilFree();
  });

  test('is given back by a younger run that acquired it while the older one could not connect', async () => {
    const role = `older_${database.name}`;
    await database.query(`create role ${role} login password 'x'`);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';
    const older = await open(url.href);
    await database.query(`alter role ${role} nologin`);
    await database.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role]);
    await waitUntilFree();
    const younger = await open(database.url, [role]);
    expect(younger.lock.other).toBeNull();
    await database.query(`alter role ${role} login`);
    await waitForRows(
      database,
      "select from pg_stat_activity where usename = $1 and application_name like 'pg-deploy-step run 2%'",
      [role],
    );

    expect((await younger.lock.check())?.name).toContain(`process ${process.pid} `);

    await waitForRows(
      database,
      `select from (${HOLDERS}) h join pg_stat_activity a using (pid) where a.usename = $1`,
      [role],
    );
    expect(older.lock.other).toBeNull();
    expect(older.taken).toEqual([]);
    await younger.lock[Symbol.asyncDispose]();
    await older.lock[Symbol.asyncDispose]();
    await waitUntilFree();
    await database.query(`drop role ${role}`);
  });

  test('is not held by a role with one connection, which the functions need; such a run says so', async () => {
    const role = `single_${database.name}`;
    await database.query(`create role ${role} login password 'x' connection limit 1`);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';

    const { lock } = await open(url.href);

    expect(lock.notPossible).toBe(`the role ${role} allows only one connection (CONNECTION LIMIT 1)`);
    expect(lock.other).toBeNull();
    const count = "select from pg_stat_activity where usename = $1 and backend_type = 'client backend'";
    await waitUntil('no session', async () => (await database.query(count, [role])).length === 0);
    // It still sees the lock of another role's run.
    const { lock: others } = await open();
    const second = await open(url.href);
    expect(second.lock.other?.name).toContain(`process ${process.pid} `);
    for (const opened of [lock, second.lock, others]) await opened[Symbol.asyncDispose]();
    await waitUntilFree();
    await waitUntil('no session', async () => (await database.query(count, [role])).length === 0);
    await database.query(`drop role ${role}`);
  });
});

test('a database that cannot be reached does not fail the lock', async () => {
  const lock = await RunLock.open({ databaseUrl: 'postgres://u:p@127.0.0.1:1/d', onTaken: () => undefined });
  expect(lock.other).toBeNull();
  await lock[Symbol.asyncDispose]();
});
