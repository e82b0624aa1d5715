import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { waitForRows } from '../support/waits.ts';
import { examine, inLines, withRegistry } from './support.ts';

const TABLES = `
  create table customers (id int primary key, code text unique, email text, city text, kind int, part int not null);
  create table orders (id int primary key, customer int references customers);
  alter table customers add constraint customers_part_excluded exclude using btree (part with =);
  create unique index customers_email on customers (email);
  create unique index customers_identity on customers (id, part);
  alter table customers replica identity using index customers_identity;
  create index customers_city on customers (city);
  create index customers_kind on customers (kind);
  create index customers_lower on customers (lower(city));
  create index orders_customer on orders (customer);
  create table events (id int not null, at date not null, kind int) partition by range (at);
  create table events_1 partition of events for values from ('2024-01-01') to ('2025-01-01');
  create table events_2 partition of events for values from ('2025-01-01') to ('2026-01-01');
  create index events_kind on events (kind);
  create index events_id on events (id);
  insert into customers select n, 'c' || n, 'e' || n, 'city ' || n, n % 9, n from generate_series(1, 5000) n;
  insert into orders select n, n from generate_series(1, 5000) n;
  insert into events select n, date '2024-01-01' + n % 700, n from generate_series(1, 5000) n`;

describe.each(MAJORS)('indexes without scans on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let place: CommandFolder;

  beforeEach(async () => {
    place = createCommandFolder();
    database = await serverOf(major).createDatabase();
    await database.query(TABLES);
    await database.query('vacuum analyze');
    // One scan of one partition is a scan of the index of the table.
    await database.query("set enable_seqscan = off; select from events where id = 7 and at = '2024-01-08'");
    await waitForRows(
      database,
      "select from pg_stat_user_indexes where relname = 'events_1' and idx_scan > 0",
    );
  });
  afterEach(async () => {
    place.remove();
    await database.drop();
  });

  async function unused(...args: string[]) {
    const { findings } = await examine(place, database.url, ...args);
    return findings.filter(({ kind }) => kind === 'unused');
  }

  test('are unused only if nothing else needs them', async () => {
    expect(inLines(await unused('--window', '0')).toSorted()).toEqual([
      'high unused public.customers customers_city (city)',
      'high unused public.customers customers_kind (kind)',
      'high unused public.events events_kind (kind)',
      'medium unused public.customers customers_lower (lower(city))',
    ]);
  });

  test('with young statistics nothing is certain, and the evidence says why', async () => {
    const found = await unused();
    expect(found.map(({ confidence }) => confidence)).toEqual(found.map(() => 'unknown'));
    expect(found[0]?.evidence).toMatch(
      /No query has scanned it since \d{4}-\d\d-\d\d, .*Not proven: the statistics of this server began on [\d-]+, less than 30 days ago; nothing shows that it existed on [\d-]+\./,
    );
    const { exitCode } = await examine(place, database.url);
    expect(exitCode).toBe(0);
  });

  test('a query in serves needs its index', async () => {
    const entry = (name: string, column: string, serves: string[]) => ({
      name,
      sql: `create index concurrently if not exists ${name} on customers (${column})`,
      description: name,
      serves,
    });
    const registry = withRegistry(place, [
      entry('customers_city', 'city', ['customers_of_city']),
      entry('customers_kind', 'kind', []),
    ]);
    const found = await unused('--window', '0', ...registry);
    expect(found.map(({ index }) => index)).not.toContain('customers_city');
    expect(found.find(({ index }) => index === 'customers_kind')?.evidence).toContain(
      'First mark the entry customers_kind of the registry as retired',
    );
  });

  test('a scan on a replica counts', async () => {
    // A database of the same name of another server would do. The counters of two databases are as separate.
    const replica = await serverOf(major).createDatabase();
    try {
      await replica.query(TABLES);
      await replica.query("set enable_seqscan = off; select from customers where city = 'city 7'");
      await waitForRows(
        replica,
        "select from pg_stat_user_indexes where indexrelname = 'customers_city' and idx_scan > 0",
      );
      const found = await unused('--window', '0', '--replica', replica.url);
      expect(found.map(({ index }) => index)).not.toContain('customers_city');
      expect(found.map(({ index }) => index)).toContain('customers_kind');
      expect(found[0]?.evidence).toContain('on this server and 1 replica');
    } finally {
      await replica.drop();
    }
  });

  test('a replica that cannot be read fails the command', async () => {
    const { exitCode, stderr, stdout } = await place.run(
      ...['doctor', '--database-url', database.url, '--replica', 'postgres://127.0.0.1:1/x'],
    );
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('replica 1 cannot be read: connect ECONNREFUSED');
  });
});
