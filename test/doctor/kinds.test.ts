import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { examine, inLines, type JsonFinding, withRegistry } from './support.ts';

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let place: CommandFolder;

  beforeAll(() => {
    place = createCommandFolder();
  });
  afterAll(() => {
    place.remove();
  });
  beforeEach(async () => {
    database = await serverOf(major).createDatabase();
  });
  afterEach(async () => {
    await database.drop();
  });

  async function of(kinds: string[], ...args: string[]): Promise<JsonFinding[]> {
    return (await examine(place, database.url, ...args)).findings.filter(({ kind }) => kinds.includes(kind));
  }
  const indexesOf = (findings: JsonFinding[]) =>
    findings.map(({ kind, index }) => `${kind} ${index}`).toSorted();

  test('of equal indexes, the one with a constraint, a foreign key, the replica identity or an entry is kept', async () => {
    await database.query(`
      create table a (id int primary key, code int not null, kind int);
      create unique index a_aaa on a (id);
      create unique index a_code on a (code);
      create unique index a_code_identity on a (code);
      alter table a replica identity using index a_code_identity;
      create index a_kind on a (kind);
      create index a_kind_2 on a (kind);
      create index a_kind_3 on a (kind);
      create table b (id int unique, other int unique);
      alter table b add constraint b_other_2 unique (other);
      create table c (b int references b (other));
      create index c_b on c (b)`);
    const entry = {
      name: 'a_kind_2',
      sql: 'create index concurrently if not exists a_kind_2 on a (kind)',
      description: 'kinds',
    };
    const found = await of(['duplicate', 'redundant'], ...withRegistry(place, [entry]));
    const [constraint] = found.filter(({ table }) => table === 'b');
    expect(indexesOf(found.filter(({ table }) => table === 'a'))).toEqual([
      'duplicate a_aaa',
      'duplicate a_code',
      'duplicate a_kind',
      'duplicate a_kind_3',
    ]);
    // The foreign key needs one of the two constraints.
    expect([constraint?.confidence, constraint?.fix]).toEqual([
      'medium',
      expect.stringMatching(/^ALTER TABLE "public"\."b" DROP CONSTRAINT "b_other/),
    ]);
    for (const { fix } of found) await database.query(fix);
    expect(await of(['duplicate', 'redundant'])).toEqual([]);
  });

  test('a prefix is redundant in both directions of a scan, with INCLUDE, and for a unique index; one of two is kept', async () => {
    await database.query(`
      create table t (id int primary key, a int, b int, c int, d text);
      create index t_a_desc on t (a desc);
      create index t_a_b on t (a, b desc);
      create index t_a_b_back on t (a desc, b);
      create index t_id on t (id);
      create index t_c_include on t (c) include (a);
      create index t_c_a_b on t (c, a, b);
      create index t_b on t (b nulls first);
      create index t_b_c on t (b, c);
      create index t_d_brin on t using brin (d);
      create index t_d on t (d, a);
      create index t_hash on t using hash (c);
      create index t_partial on t (c) where a > 0;
      create index t_partial_longer on t (c, d) where a > 1`);
    expect(indexesOf(await of(['duplicate', 'redundant']))).toEqual([
      'redundant t_a_b_back',
      'redundant t_a_desc',
      'redundant t_c_include',
      'redundant t_id',
    ]);
  });

  test('accepted warnings of the registry are no findings', async () => {
    await database.query(
      'create table t (id int primary key, a int, b int); create index t_a on t (a); create index t_a_b on t (a, b)',
    );
    const entry = (name: string, on: string, accept = {}) => ({
      ...{
        name,
        sql: `create index concurrently if not exists ${name} on t (${on})`,
        description: name,
        accept,
      },
    });
    const entries = [entry('t_a', 'a', { 'redundant-index': 'it is small' }), entry('t_a_b', 'a, b')];
    expect(await of(['redundant'], ...withRegistry(place, entries))).toEqual([]);
    expect(await of(['redundant'])).toHaveLength(1);
  });

  test('what another index covers is no foreign key without an index', async () => {
    await database.query(`
      create table p (a int, b int, primary key (a, b), c int unique, d int unique);
      create table f (
        id int primary key, tenant_id int, a int, b int, c int references p (c), d int references p (d), e int references p (c),
        foreign key (a, b) references p, constraint again foreign key (a, b) references p (a, b), g int references p (d)
      );
      create index f_b_a on f (b, a, id);
      create index f_c on f (c) where c is not null;
      create index f_d on f using hash (d);
      create index f_tenant_e on f (tenant_id, e);
      create index f_g on f (g) where a > 0`);
    expect(inLines(await of(['foreign-key-without-index']))).toEqual([
      'unknown foreign-key-without-index public.f (g)',
    ]);
  });

  test('names that need quotes are quoted in each fix and entry', async () => {
    await database.query(`
      create schema "Sales ""East""";
      create table "Sales ""East"""."Order's" ("Id" int primary key, "select" int references "Sales ""East"""."Order's");
      create index "Odd;Name" on "Sales ""East"""."Order's" ("Id")`);
    const found = await of(['foreign-key-without-index', 'redundant']);
    expect(found).toHaveLength(2);
    for (const { fix } of found) await database.query(fix);
    const entries = found.flatMap(({ entry }) => entry ?? []);
    expect(entries).toHaveLength(1);
    const again = await examine(place, database.url, ...withRegistry(place, entries));
    expect(again.findings.filter(({ confidence }) => confidence !== 'unknown')).toEqual([]);
  });

  test('the index of a partitioned table is proposed as an entry, which the deploy can build', async () => {
    await database.query(`
      create table people (id int primary key);
      create table calls (id int, at date, person int references people) partition by range (at);
      create table calls_1 partition of calls for values from ('2024-01-01') to ('2025-01-01')`);
    const found = await of(['foreign-key-without-index']);
    expect(found.map(({ table, fix, entry }) => ({ table, fix, entry: entry?.sql }))).toEqual([
      {
        table: 'calls',
        fix: 'Add the entry to the registry, so that the deploy builds the index concurrently on each partition: create index concurrently if not exists idx_calls_person on calls (person)',
        entry: 'create index concurrently if not exists idx_calls_person on calls (person)',
      },
    ]);
  });

  test('the tenant column is found by its name, given, or none', async () => {
    await database.query(`
      create table a (id int primary key, org_id int, company_id int);
      create table b (id int primary key, org_id int);
      create table c (id int primary key, org_id int);
      create index c_org on c (org_id, id);
      create materialized view v as select org_id, count(*) from a group by 1`);
    const kind = ['tenant-table-without-index'];
    const tables = async (...args: string[]) =>
      (await of(kind, ...args)).map(({ table, columns }) => `${table} ${columns}`);
    expect((await tables()).toSorted()).toEqual(['a org_id', 'b org_id', 'v org_id']);
    expect(await tables('--tenant-column', 'company_id')).toEqual(['a company_id']);
    expect(await tables('--tenant-column', 'none')).toEqual([]);
    await database.query('create table d (tenant_id int)');
    expect(await tables()).toEqual(['d tenant_id']);
  });

  test('invalid indexes of partitions and leftovers of REINDEX get their own fix', async () => {
    await database.query(`
      create table calls (id int not null, at date) partition by range (at);
      create table calls_1 partition of calls for values from ('2024-01-01') to ('2025-01-01');
      create index calls_id on calls (id);
      create table codes (code int);
      create unique index codes_code on codes (code)`);
    // As an interrupted REINDEX leaves it.
    await database.query(`
      create index codes_code_ccnew on codes (code);
      update pg_index set indisvalid = false where indexrelid in ('codes_code_ccnew'::regclass, 'calls_1_id_idx'::regclass)`);
    const found = await of(['invalid']);
    expect(found.map(({ index, fix }) => ({ index, fix }))).toEqual(
      expect.arrayContaining([
        { index: 'codes_code_ccnew', fix: 'DROP INDEX CONCURRENTLY "public"."codes_code_ccnew";' },
        { index: 'calls_1_id_idx', fix: 'REINDEX INDEX CONCURRENTLY "public"."calls_1_id_idx";' },
      ]),
    );
    expect(found).toHaveLength(2);
    expect(found.find(({ index }) => index === 'codes_code_ccnew')?.evidence).toContain(
      'REINDEX CONCURRENTLY has left it, and codes_code is valid.',
    );
    for (const { fix } of found) await database.query(fix);
    expect(await of(['invalid'])).toEqual([]);
  });

  test('tables of extensions, of this product and temporary ones are left out', async () => {
    await database.query(`
      create schema deploy_step;
      create table deploy_step.index_builds (tenant_id int);
      create table own (id int);
      create extension citext;
      create table member (tenant_id int);
      alter extension citext add table member`);
    expect((await examine(place, database.url)).findings).toEqual([]);
  });

  test('indexes that grew row by row are not bloated, whatever their columns are', async () => {
    await database.query(`
      create table grown (id int primary key, key uuid, word text, status text, flag boolean, rarely text, amount numeric, at timestamptz);
      create index grown_key on grown (key);
      create index grown_word on grown (word);
      create index grown_status on grown (status);
      create index grown_status_at on grown (status, at);
      create index grown_flag on grown (flag, id);
      create index grown_rarely on grown (rarely);
      create index grown_amount on grown (amount, word);
      create index grown_lower on grown (lower(word), status);
      create index grown_filled on grown (at) with (fillfactor = 60);
      create index grown_partial on grown (word) where flag`);
    for (let batch = 0; batch < 8; batch += 1) {
      await database.query(
        `insert into grown
         select n, md5(n::text)::uuid, repeat('w', n % 40) || md5((n * 7)::text), 'status ' || n % 5, n % 3 = 0,
                case when n % 50 = 0 then md5(n::text) end, (n * 7919) % 100003 / 100.0,
                timestamptz '2026-01-01' + (n::bigint * 104729 % 1000000) * interval '1 second'
           from generate_series($1::int, $1::int + 14999) n`,
        [batch * 15_000],
      );
      await database.query('vacuum analyze grown');
    }
    expect(await of(['bloated'])).toEqual([]);
    await database.query('create extension pgstattuple');
    expect(await of(['bloated'])).toEqual([]);
    const [row] = await database.query(
      'select count(*)::int as large from pg_class where relname like $1 and relpages > 128',
      ['grown_%'],
    );
    expect(row?.large).toBeGreaterThanOrEqual(8);
  });
});
