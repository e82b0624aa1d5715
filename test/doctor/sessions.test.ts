import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { MAJORS } from '../support/servers.ts';
import { waitForRows } from '../support/waits.ts';
import { examine } from './support.ts';

describe.each(MAJORS)('sessions on PostgreSQL %i', (major) => {
  let server: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let database: TestDatabase;
  let place: CommandFolder;
  let sessions: Client[] = [];

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      major,
      settings: { fsync: 'off', max_prepared_transactions: '5', wal_level: 'logical' },
    });
    place = createCommandFolder();
  });
  beforeEach(async () => {
    database = await createDatabase({ adminUrl: server.url() });
    await database.query('create table accounts (id int primary key, owner text)');
  });
  afterEach(async () => {
    await Promise.all(sessions.map((one) => one.end().catch(() => undefined)));
    sessions = [];
    await database.drop();
  });
  afterAll(async () => {
    place.remove();
    await server.stop('immediate');
  });

  async function session(application: string): Promise<Client> {
    const client = await connect(database.url, application);
    sessions.push(client);
    return client;
  }

  const pidOf = async (client: Client): Promise<number> =>
    (await client.query('select pg_backend_pid() as pid')).rows[0].pid;

  /** Waits until a session has been in its state for longer than the limit of the command. */
  const waitForSeconds = async (pid: number, seconds: number) =>
    await waitForRows(
      database,
      'select from pg_stat_activity where pid = $1 and clock_timestamp() - greatest(query_start, xact_start) > make_interval(secs => $2)',
      [pid, seconds],
    );

  test('an idle database has no findings', async () => {
    await session('idle');
    expect((await examine(place, database.url)).findings).toEqual([]);
  });

  test('a statement that waits for a lock, and the transaction that holds it', async () => {
    const holder = await session('holder');
    await holder.query("begin; lock table accounts; select 'secret-of-holder'");
    const waiter = await session('waiter');
    const [holderPid, waiterPid] = [await pidOf(holder), await pidOf(waiter)];
    const waiting = waiter
      .query("update accounts set owner = 'secret-of-waiter' where id = 4711")
      .catch(() => undefined);
    await waitForSeconds(waiterPid, 1);

    const { findings, exitCode } = await examine(place, database.url, '--session-seconds', '1');
    await holder.end();
    await waiting;

    expect(findings.map(({ kind, confidence, fix }) => ({ kind, confidence, fix }))).toEqual([
      {
        kind: 'long-transaction',
        confidence: 'medium',
        fix: `SELECT pg_catalog.pg_terminate_backend(${holderPid});`,
      },
      {
        kind: 'active-session',
        confidence: 'medium',
        fix: `SELECT pg_catalog.pg_cancel_backend(${waiterPid});`,
      },
    ]);
    const [transaction, active] = findings.map(({ evidence }) => evidence);
    expect(transaction).toContain(`Session ${holderPid} (holder) of postgres has had a transaction open`);
    expect(transaction).toContain('its state is idle in transaction');
    expect(active).toContain(`and waits for Lock/relation, blocked by session ${holderPid}`);
    expect(active).toContain('Statement: update accounts set owner = … where id = …');
    expect(JSON.stringify(findings)).not.toMatch(/secret|4711/);
    expect(exitCode).toBe(1);
  });

  test('a long statement is one finding, and the session of a build has no advice that counts', async () => {
    const sleeper = await session('report');
    const pid = await pidOf(sleeper);
    const sleeping = sleeper.query('select pg_sleep(600)').catch(() => undefined);
    await waitForSeconds(pid, 1);
    const { findings } = await examine(place, database.url, '--session-seconds', '1');
    await database.query('select pg_cancel_backend($1)', [pid]);
    await sleeping;
    expect(findings.map(({ kind, confidence }) => [kind, confidence])).toEqual([
      ['active-session', 'medium'],
    ]);
    expect(findings[0]?.evidence).toContain('waits for Timeout/PgSleep. Statement: select pg_sleep(…)');
  });

  test('an index that is being built is not invalid, and one that was left is', async () => {
    await database.query('insert into accounts select n, n % 7 from generate_series(1, 1000) n');
    await expect(
      database.query('create unique index concurrently accounts_left on accounts (owner)'),
    ).rejects.toMatchObject({ code: '23505' });
    const holder = await session('holder');
    await holder.query('begin isolation level repeatable read; select count(*) from accounts');
    const builder = await session('builder');
    const pid = await pidOf(builder);
    const building = builder.query('create index concurrently accounts_owner on accounts (owner)');
    await waitForSeconds(pid, 1);
    await waitForRows(
      database,
      "select from pg_index where indexrelid = 'accounts_owner'::regclass and not indisvalid",
    );

    const { findings } = await examine(place, database.url, '--session-seconds', '1');
    await holder.query('commit');
    await building;

    expect(findings.map(({ kind, index, confidence }) => [kind, index, confidence])).toEqual([
      ['invalid', 'accounts_left', 'high'],
      ['long-transaction', null, 'medium'],
      ['active-session', null, 'unknown'],
    ]);
    expect(findings[2]?.evidence).toContain(
      'It builds an index. Statement: create index concurrently accounts_owner',
    );
  });

  test('a prepared transaction, with the tables that it locks', async () => {
    await database.query("begin; insert into accounts values (1, 'x'); prepare transaction 'it''s'");
    const { findings } = await examine(place, database.url);
    await database.query("rollback prepared 'it''s'");
    expect(findings.map(({ kind, fix, confidence }) => ({ kind, fix, confidence }))).toEqual([
      { kind: 'prepared-transaction', fix: "ROLLBACK PREPARED 'it''s';", confidence: 'medium' },
    ]);
    expect(findings[0]?.evidence).toContain('It keeps its locks on public.accounts, and old rows');
  });

  test('a replication slot that nobody reads', async () => {
    await database.query("select pg_create_logical_replication_slot('unread', 'pgoutput')");
    const { findings } = await examine(place, database.url);
    await database.query("select pg_drop_replication_slot('unread')");
    expect(findings.map(({ kind, fix }) => ({ kind, fix }))).toEqual([
      { kind: 'long-transaction', fix: "SELECT pg_catalog.pg_drop_replication_slot('unread');" },
    ]);
    expect(findings[0]?.evidence).toContain('The logical replication slot unread is used by nobody.');
  });
});
