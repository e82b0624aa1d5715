import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ExplainedQuery,
  type ExplainOptions,
  explainQueries,
} from '../../lib/explain/explain-queries.ts';
import { readOrProblem } from '../../lib/explain/query-files.ts';
import { withParameters } from '../../lib/explain/query-source.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const SCHEMA = `
  create table orders (id bigint primary key, tenant_id int not null, status text not null, note text not null,
    placed_at timestamptz not null);
  insert into orders select i, i % 100, case when i % 50 = 0 then 'open' else 'done' end, 'note ' || md5(i::text),
    timestamptz '2026-01-01' + i * interval '1 minute' from generate_series(1, 20000) i;
  create index orders_tenant on orders (tenant_id);
  create index orders_open on orders (placed_at) where status = 'open';
  create index orders_note on orders (note text_pattern_ops);
  create table small (id int primary key, word text not null);
  insert into small select i, 'word ' || i from generate_series(1, 50) i;
  create table events (at date not null, kind int not null) partition by range (at);
  create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01');
  create table events_2 partition of events for values from ('2026-02-01') to ('2026-03-01');
  insert into events select date '2026-01-01' + i % 59, i % 500 from generate_series(1, 20000) i;
  create index events_kind on events (kind);
  create schema other;
  create table other.things (id int, owner int);
  insert into other.things select i, i % 1000 from generate_series(1, 5000) i;
  -- After a VACUUM, an index-only scan is cheaper, and another proposal better.
  alter table other.things set (autovacuum_enabled = off);
  alter table orders set (autovacuum_enabled = off);
  create function poke() returns int language plpgsql volatile as 'begin insert into small values (999, ''poked''); return 1; end';
  create sequence touched;
  analyze;
  create table fresh (id int, word text);
  alter table fresh set (autovacuum_enabled = off);
  insert into fresh select i, 'w' || i from generate_series(1, 5000) i;`;

describe.each(MAJORS)('explain, PostgreSQL %i', (major) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    await database.query(SCHEMA);
  });
  afterAll(async () => await database.drop());

  async function explain(
    sql: string,
    params: readonly string[] = [],
    options: Partial<ExplainOptions> = {},
  ): Promise<ExplainedQuery> {
    const read = readOrProblem(sql, { name: 'q', file: 'q.sql' });
    const query = 'problem' in read ? read : withParameters(read, params);
    const [explained] = await explainQueries(database.url, [query], {
      ...{ searchPath: undefined, registry: [], minRows: null, tenantColumn: 'tenant_id', analyzeMs: null },
      ...options,
    });
    if (explained === undefined) throw new Error('Nothing was explained.');
    return explained;
  }

  async function registry(...entries: IndexEntry[]) {
    return await compileRegistry(entries, 'registry');
  }
  const entry = (name: string, definition: string): IndexEntry => ({
    name,
    sql: `create index concurrently if not exists ${name} on orders ${definition}`,
    description: 'test',
    serves: ['q'],
  });

  test.each([
    ['partial, which the condition implies', '(id) where placed_at is not null'],
    ['partial, of another case', "(placed_at, id) where status = 'other'"],
    ['of other columns', '(status)'],
  ])('an entry that serves the query and is not built comes before any proposal: %s', async (_name, on) => {
    const explained = await explain('select id from orders where placed_at = $1', ['2026-01-02'], {
      registry: await registry(entry('orders_at', on)),
    });

    expect(explained).toMatchObject({ verdict: 'seq-scan', servedBy: ['orders_at'], proposal: null });
    expect(explained.message).toContain(
      'Entry orders_at of the registry names this query in serves, and this database does not have its index: deploy it, then explain again.',
    );
  });

  test.each<[string, Partial<IndexEntry>]>([
    ['a constraint', { constraint: { name: 'orders_at_key', type: 'unique' } }],
    ['another definition in some databases', { onDrift: 'rebuild' }],
  ])('a proposal that the registry has is that entry with all its fields: %s', async (_name, fields) => {
    const unique: IndexEntry = {
      name: 'orders_key',
      sql: 'create unique index concurrently if not exists orders_key on orders (placed_at, id)',
      description: 'the key',
      critical: true,
      ...fields,
    };
    const { proposal, message } = await explain(
      'select id from orders where placed_at = $1',
      ['2026-01-02'],
      {
        registry: await registry(unique),
      },
    );

    expect(proposal).toMatchObject({ registered: true, widens: null });
    expect(proposal?.entry).toEqual({ ...unique, sql: expect.any(String), serves: ['q'] });
    expect(proposal?.entry.sql).toMatch(
      /^create unique index concurrently if not exists orders_key on orders using btree \(placed_at, id\)$/i,
    );
    expect(message).toContain('Deploy entry orders_key of the registry, which this database does not have.');
  });

  test('names the index that a query uses, and proposes nothing', async () => {
    expect(await explain('select note from orders where tenant_id = $1', ['7'])).toMatchObject({
      verdict: 'index',
      index: 'orders_tenant',
      proposal: null,
      generic: { verdict: 'index', index: 'orders_tenant' },
    });
  });

  test('distinguishes the index that serves a query from another one', async () => {
    const sql = 'select note from orders where tenant_id = 7';
    const own = await registry(entry('orders_tenant', '(tenant_id)'));
    const other = await registry(entry('orders_other', '(status, tenant_id)'));
    expect((await explain(sql, [], { registry: own })).verdict).toBe('index');
    expect(await explain(sql, [], { registry: other })).toMatchObject({
      verdict: 'other-index',
      index: 'orders_tenant',
      servedBy: ['orders_other'],
    });
  });

  test('names the table, its rows and the filter of a scan', async () => {
    const { verdict, message, tables } = await explain('select note from orders where placed_at < $1', [
      '2026-01-01 05:00',
    ]);
    expect(verdict).toBe('seq-scan');
    expect(message).toContain('all of orders (20,000 rows) with the filter (orders.placed_at < $1)');
    expect(tables).toMatchObject([{ table: 'orders', rows: 20000, counted: true, scan: 'seq' }]);
  });

  test('a small table is too small to judge, and never a pass', async () => {
    expect((await explain("select id from small where word = 'word 3'")).verdict).toBe('too-small');
    expect((await explain("select id from small where word = 'word 3'", [], { minRows: 10 })).verdict).toBe(
      'seq-scan',
    );
    expect(
      (await explain('select note from orders where placed_at < now()', [], { minRows: 50_000 })).verdict,
    ).toBe('too-small');
  });

  test('an empty table is too small, whatever statistics it has', async () => {
    await database.query('create table restored (id int, word text)');
    await database.query(
      "update pg_class set reltuples = 1000000, relpages = 10000 where oid = 'restored'::regclass",
    );
    expect((await explain("select id from restored where word = 'x'")).verdict).toBe('too-small');
  });

  test('says that the rows of a table that was never analyzed are estimated', async () => {
    const { verdict, message, tables } = await explain("select id from fresh where word = 'w5'");
    expect(verdict).toBe('seq-scan');
    expect(message).toMatch(/fresh \(about [\d,]+ rows by its size; it was never analyzed\)/);
    expect(tables[0]?.rows).toBeGreaterThan(2000);
    expect(tables[0]?.rows).toBeLessThan(10_000);
  });

  test('a partial index for a compared parameter is not provable without values, and used with them', async () => {
    const sql = 'select note from orders where status = $1 and placed_at < $2';
    const generic = await explain(sql);
    expect(generic.verdict).toBe('not-provable');
    expect(generic.message).toContain('$1, $2 have no value');
    expect(await explain(sql, ['open', '2026-01-02'])).toMatchObject({
      verdict: 'index',
      index: 'orders_open',
      generic: { verdict: 'not-provable' },
    });
  });

  test('a pattern index for LIKE $1 is not provable without values, and used with them', async () => {
    const sql = 'select id from orders where note like $1';
    expect((await explain(sql)).verdict).toBe('not-provable');
    expect(await explain(sql, ['note abc%'])).toMatchObject({ verdict: 'index', index: 'orders_note' });
  });

  test('a generic plan shows the partitions as their table, and does not fold NULL', async () => {
    const explained = await explain('select kind from events where at = $1');
    expect(explained.verdict).toBe('seq-scan');
    expect(explained.tables).toMatchObject([{ table: 'events', rows: 20000 }]);
    expect(await explain('select at from events where kind = $1')).toMatchObject({
      verdict: 'index',
      index: 'events_kind',
    });
  });

  test('a parameter without a type is an error that names it and the cast', async () => {
    const positional = await explain('select id from orders where $1 is null');
    expect(positional).toMatchObject({ verdict: 'error', cost: null });
    expect(positional.message).toBe(
      'The type of parameter $1 cannot be inferred. Write a cast to its type in the query, such as $1::bigint or $1::text.',
    );
    expect(
      (await explain('select id from orders where tenant_id = :tenant and :flag is null')).message,
    ).toContain(':flag::bigint');
    expect((await explain('select id from orders where $1::int is null')).verdict).not.toBe('error');
  });

  test('a value of the wrong type is an error that does not contain it', async () => {
    const explained = await explain('select id from orders where tenant_id = $1', ['secret-17']);
    expect(explained.verdict).toBe('error');
    expect(explained.message).toContain('The value of parameter $1 is not a valid integer');
    expect(JSON.stringify(explained)).not.toContain('secret-17');
  });

  test('the output contains no value', async () => {
    const explained = await explain('select id from orders where lower(note) = lower($1) and status = $2', [
      'SECRET-A',
      'secret-b',
    ]);
    expect(explained.proposal).not.toBeNull();
    expect(JSON.stringify(explained).toLowerCase()).not.toMatch(/secret/);
  });

  test.each([
    ['select 1; select 2', 'it contains 2 statements'],
    ['drop table orders', 'it is not a query'],
    ['select * into copied from orders', 'it is SELECT INTO'],
    ['explain analyze delete from orders', 'it is not a query'],
    ['selec 1', 'syntax error'],
    ['-- nothing', 'it contains no statement'],
    ['select id from missing', 'relation "missing" does not exist'],
  ])('%s is an error', async (sql, text) => {
    const explained = await explain(sql);
    expect(explained).toMatchObject({ verdict: 'error', proposal: null });
    expect(explained.message).toContain(text);
  });

  test('queries are not executed', async () => {
    const before = await database.query('select count(*)::int as n from small');
    for (const sql of [
      'select poke() from orders',
      'delete from small',
      "insert into small values (1000, 'x')",
      "select nextval('touched') from orders",
    ]) {
      expect((await explain(sql)).verdict).not.toBe('error');
    }
    expect(await database.query('select count(*)::int as n from small')).toEqual(before);
    expect(await database.query('select is_called from touched')).toEqual([{ is_called: false }]);
  });

  test('--analyze executes in a read-only transaction, with a time limit', async () => {
    const analyzed = await explain('select note from orders where tenant_id = $1', ['7'], {
      analyzeMs: 10_000,
    });
    expect(analyzed.profiles).toMatchObject([{ profile: 'typical', actual: { rows: 200 } }]);
    expect((await explain('delete from small', [], { analyzeMs: 10_000 })).message).toContain(
      'read-only transaction',
    );
    expect((await explain('select pg_sleep(60)', [], { analyzeMs: 50 })).message).toContain(
      'statement timeout',
    );
    expect(await database.query('select count(*)::int as n from small')).toEqual([{ n: 50 }]);
  });

  test('names without a schema are looked up in the search path', async () => {
    const sql = 'select id from things where owner = 5';
    expect((await explain(sql)).verdict).toBe('error');
    expect(await explain(sql, [], { searchPath: ['other', 'public'] })).toMatchObject({
      verdict: 'seq-scan',
      proposal: {
        table: 'other.things',
        entry: { sql: 'create index concurrently if not exists idx_things_owner on things (owner)' },
      },
    });
    expect((await explain('select id from other.things where owner = 5')).proposal?.entry.sql).toContain(
      ' on other.things (owner)',
    );
  });

  test('plans each profile, and reports the worst', async () => {
    const explained = await explain(`
      -- :status: open
      -- profile: all of them
      -- :status = 'done'
      select note from orders where status = :status and placed_at < '2027-01-01'`);
    expect(explained.profiles.map(({ profile, verdict }) => [profile, verdict])).toEqual([
      ['typical', 'index'],
      ['all of them', 'seq-scan'],
    ]);
    expect(explained.verdict).toBe('seq-scan');
  });

  test('widens an entry of the registry instead of adding one that shares its prefix', async () => {
    const entries = await registry(entry('orders_tenant', '(tenant_id)'));
    const sql = 'select id, note, status from orders where tenant_id = 7 order by placed_at desc limit 5';
    const explained = await explain(sql, [], { registry: entries.map((one) => ({ ...one, serves: [] })) });
    expect(explained.proposal).toMatchObject({
      widens: 'orders_tenant',
      entry: {
        name: 'orders_tenant',
        sql: 'create index concurrently if not exists orders_tenant on orders (tenant_id, placed_at desc)',
        onDrift: 'rebuild',
        serves: ['q'],
      },
    });
    await compileRegistry([explained.proposal?.entry], 'registry');
  });

  test('an entry is finished: the registry accepts it', async () => {
    const explained = await explain('select id from orders where tenant_id = $1 and lower(note) = $2', [
      '3',
      'x',
    ]);
    const [compiled] = await compileRegistry([explained.proposal?.entry], 'registry');
    expect(compiled).toMatchObject({ table: 'orders', serves: ['q'] });
  });
});
