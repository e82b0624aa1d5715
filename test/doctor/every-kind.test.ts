import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS } from '../../lib/doctor/finding.ts';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { MAJORS } from '../support/servers.ts';
import { waitForRows } from '../support/waits.ts';
import { PLANTED, PLANTED_ALONE, REGISTRY } from './planted.ts';
import { examine, inLines, withRegistry } from './support.ts';

const EXTENSIONS = 'create extension pg_stat_statements; create extension pgstattuple';

const FLAGS = ['--window', '0', '--slow', '1000', '--session-seconds', '1'];

/** Each table has what it needs, and nothing twice. */
const HEALTHY = `
  create table tenants (id int primary key, name text not null unique);
  create table people (id int primary key, tenant_id int not null references tenants, email text not null);
  create unique index people_email on people (lower(email));
  create index people_tenant on people (tenant_id, email);
  create table letters (id int primary key, tenant_id int not null references tenants, author int not null references people);
  create index letters_tenant_author on letters (tenant_id, author);
  create table events (id int not null, tenant_id int not null, at date not null, primary key (id, at)) partition by range (at);
  create table events_1 partition of events for values from ('2024-01-01') to ('2025-01-01');
  create table events_2 partition of events for values from ('2025-01-01') to ('2026-01-01');
  create index events_tenant on events (tenant_id, at);
  insert into tenants select n, 'tenant ' || n from generate_series(1, 20) n;
  insert into people select n, 1 + n % 20, 'p' || n || '@example.com' from generate_series(1, 20000) n;
  insert into letters select n, 1 + n % 20, 1 + n % 20000 from generate_series(1, 20000) n;
  insert into events select n, 1 + n % 20, date '2024-01-01' + n % 700 from generate_series(1, 20000) n`;

const entryOf = (name: string, on: string, more = {}) => ({
  name,
  sql: `create index concurrently if not exists ${name} on ${on}`,
  description: name,
  ...more,
});

describe.each(MAJORS)('on PostgreSQL %i with both extensions', (major) => {
  let server: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let place: CommandFolder;
  const sessions: Client[] = [];

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      major,
      settings: {
        ...{ fsync: 'off', autovacuum: 'off', max_prepared_transactions: '5' },
        shared_preload_libraries: 'pg_stat_statements',
      },
    });
    place = createCommandFolder();
  });
  afterAll(async () => {
    await Promise.all(sessions.map((one) => one.end().catch(() => undefined)));
    place.remove();
    await server.stop('immediate');
  });

  async function sessionOf(database: TestDatabase, name: string): Promise<{ client: Client; pid: number }> {
    const client = await connect(database.url, name);
    sessions.push(client);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    return { client, pid: rows[0].pid };
  }

  test('a database with every ailment has each finding and nothing else', async () => {
    const database = await createDatabase({ adminUrl: server.url() });
    await database.query(`${PLANTED}; create index notes_body on notes (body)`);
    for (const sql of [EXTENSIONS, ...PLANTED_ALONE]) await database.query(sql);
    await expect(
      database.query('create unique index concurrently twice_code on twice (code)'),
    ).rejects.toMatchObject({ code: '23505' });
    for (let calls = 0; calls < 2; calls += 1) await database.query('select pg_sleep(1.1)');
    await database.query("begin; insert into queue values (0, 0); prepare transaction 'left'");
    const holder = await sessionOf(database, 'holder');
    await holder.client.query('begin; lock table visits in share mode');
    const waiter = await sessionOf(database, 'waiter');
    const waiting = waiter.client.query("update visits set page = 'x' where id = 1").catch(() => undefined);
    await waitForRows(
      database,
      `select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'
          and clock_timestamp() - query_start > interval '1 second'`,
      [waiter.pid],
    );
    await waitForRows(
      database,
      "select from pg_stat_user_tables where relname = 'visits' and seq_scan >= 60",
    );

    const registry = withRegistry(place, [...REGISTRY, entryOf('notes_body', 'notes (body)')]);
    const { findings, failing, exitCode, unknown } = await examine(
      place,
      database.url,
      ...registry,
      ...FLAGS,
    );
    await holder.client.query('rollback');
    await waiting;
    await database.query("rollback prepared 'left'");

    expect(inLines(findings)).toEqual([
      'high invalid public.twice twice_code (code)',
      'high not-in-database public.people people_name (tenant_id,name)',
      'high not-in-database public.deploy_logs deploy_logs_line (line)',
      'high foreign-key-without-index public.letters (author)',
      'high tenant-table-without-index public.notes (tenant_id)',
      'high sequential-scans public.visits ()',
      'medium slow-statement ()',
      'high duplicate public.people people_tenant_email_again (tenant_id,email)',
      'high redundant public.people people_email (email)',
      'high redundant public.deploy_logs deploy_logs_line (line)',
      'medium redundant public.people people_tenant (tenant_id)',
      'high unused public.notes notes_body (body)',
      'high bloated public.queue queue_job (job)',
      'high bloated public.queue queue_pkey (id)',
      'high not-in-registry public.events events_waiting (kind,at)',
      'medium prepared-transaction ()',
      'medium long-transaction ()',
      'medium active-session ()',
    ]);
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(KINDS));
    expect([exitCode, failing, unknown]).toEqual([1, findings.length, []]);
    const evidence = Object.fromEntries(findings.map((one) => [one.kind, one.evidence]));
    expect(evidence['slow-statement']).toContain('select pg_sleep($1)');
    expect(evidence['long-transaction']).toContain(`Session ${holder.pid} (holder)`);
    expect(evidence['active-session']).toContain(`waits for Lock/relation, blocked by session ${holder.pid}`);
  });

  test('a healthy one has none, and nothing is left unknown', async () => {
    const database = await createDatabase({ adminUrl: server.url() });
    for (const sql of [HEALTHY, EXTENSIONS, 'vacuum analyze']) await database.query(sql);
    const serves = { serves: ['a_query'] };
    const registry = withRegistry(place, [
      {
        ...entryOf('people_email', 'people (lower(email))', { ...serves, critical: true }),
        sql: 'create unique index concurrently if not exists people_email on people (lower(email))',
      },
      entryOf('people_tenant', 'people (tenant_id, email)', serves),
      entryOf('letters_tenant_author', 'letters (tenant_id, author)', serves),
      entryOf('events_tenant', 'events (tenant_id, at)', serves),
    ]);
    const { findings, unknown, exitCode } = await examine(place, database.url, ...registry, ...FLAGS);
    expect([inLines(findings), unknown, exitCode]).toEqual([[], [], 0]);
  });
});
