import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

/** The findings about the last of some files. */
function findingsOf(text: string, ...before: string[]) {
  const linter = new MigrationLinter(new RegisteredIndexes([]));
  for (const [at, earlier] of before.entries()) {
    linter.lint({ file: `000${at}_a.sql`, text: earlier, hasLines: true });
  }
  return linter.lint({ file: '0009_z.sql', text, hasLines: true }).findings;
}

function rulesOf(text: string, ...before: string[]): string[] {
  return findingsOf(text, ...before).map(({ line, column, rule }) => `${line}:${column} ${rule}`);
}

/** The entry to paste, as a value. */
function entryOf(text: string, ...before: string[]): IndexEntry | null {
  const [{ entry } = { entry: undefined }] = findingsOf(text, ...before);
  return entry === undefined ? null : (new Function(`return (${entry})`)() as IndexEntry);
}

const EXISTING = `create table t (id int not null, a int, b text, "C" int);
  create table p (a int) partition by list (a); create table p1 partition of p for values in (1);
  create index t_a on t (a); create materialized view m as select 1 as one;`;

describe('statements that block reads or writes of an existing table are errors', () => {
  test.each([
    ['alter table t add constraint t_key unique (a);', 'unique-constraint'],
    ['alter table only t add unique (a, b);', 'unique-constraint'],
    ['alter table t add constraint t_pkey primary key (id);', 'unique-constraint'],
    ['alter table t add column d int unique;', 'unique-constraint'],
    ['alter table t add column if not exists d bigserial primary key;', 'unique-constraint'],
    ['alter table t add column d int constraint d_key unique deferrable;', 'unique-constraint'],
    ['alter table t add exclude using gist (a with =);', 'exclusion-constraint'],
    ['alter table t add constraint x primary key (id, b without overlaps);', 'exclusion-constraint'],
    ['alter table p detach partition p1;', 'detach-partition'],
    ['cluster t using t_a;', 'cluster'],
    ['cluster verbose t;', 'cluster'],
    ['cluster;', 'cluster'],
    ['vacuum full t;', 'vacuum-full'],
    ['vacuum (full, analyze) t;', 'vacuum-full'],
    ['vacuum (full on);', 'vacuum-full'],
    ['refresh materialized view m;', 'refresh-materialized-view'],
    ['refresh materialized view m with data;', 'refresh-materialized-view'],
  ])('%s', (sql, rule) => {
    expect(rulesOf(`select 1;\n  ${sql}`, EXISTING)).toEqual([`2:3 ${rule}`]);
    expect(rulesOf(sql)).toEqual([`1:1 ${rule}`]);
    const allowed = `-- pg-deploy-step: allow ${rule} the table has ten rows\n${sql}`;
    expect(rulesOf(allowed, EXISTING)).toEqual([`2:1 ${rule}`]);
  });

  test.each([
    'alter table t add constraint t_key unique using index t_a;',
    'alter table t add constraint fk foreign key (a) references u (a), add check (a > 0) not valid;',
    'alter table t add column d int;',
    'alter table t cluster on t_a;',
    'alter table p detach partition p1 concurrently;',
    'alter table p detach partition p1 finalize;',
    'vacuum t;',
    'vacuum (full false, analyze) t;',
    'vacuum (full, full 0) t;',
    'analyze t;',
    'refresh materialized view concurrently m;',
    'refresh materialized view m with no data;',
    'create table n (a int unique); alter table n add primary key (a), add column c int unique; cluster n;',
    'create temp table n (a int); alter table n add primary key (a);',
    'alter table pg_temp.n add primary key (a);',
    'create materialized view n as select 1; refresh materialized view n;',
    'create table n (a int) partition by list (a); alter table n detach partition n1;',
  ])('and these are not: %s', (sql) => {
    expect(rulesOf(sql, EXISTING)).toEqual([]);
  });

  test('also in a DO block and in a function that a migration runs', () => {
    const define = `create function f() returns void language plpgsql as $$ begin execute 'cluster t'; end $$;`;
    expect(
      rulesOf(
        'do $$ begin\n  alter table t add unique (a);\n refresh materialized view m; end $$; select f();',
        define,
      ),
    ).toEqual(['2:3 unique-constraint', '3:2 refresh-materialized-view', '3:39 cluster']);
  });
});

describe('the message about', () => {
  test.each([
    [
      'a unique constraint',
      'alter table t add unique (a)',
      'PostgreSQL builds its index while reads and writes of the table wait',
    ],
    ['a column', 'alter table t add column "D" int unique', 'Add column "D" without it.'],
    ['a primary key', 'alter table t add primary key (id)', 'must be NOT NULL before'],
    [
      'a deferrable constraint',
      'alter table t add unique (a) deferrable',
      'write ADD CONSTRAINT … USING INDEX … DEFERRABLE here',
    ],
    [
      'a deferrable constraint of a column',
      'alter table t add column d int not null unique initially deferred',
      'The registry has no deferrable constraints.',
    ],
    [
      'an exclusion',
      'alter table t add exclude using gist (a with =)',
      'PostgreSQL cannot build such an index concurrently',
    ],
    [
      'DETACH',
      'alter table "P" detach partition s."P1"',
      ': ALTER TABLE "P" DETACH PARTITION s."P1" CONCURRENTLY;',
    ],
    ['CLUSTER', 'cluster "T" using "I"', ': CLUSTER "T" USING "I";'],
    ['VACUUM FULL', 'vacuum full "T"', ': VACUUM (FULL) "T";'],
    [
      'REFRESH',
      'set search_path = app; refresh materialized view "M"',
      ': REFRESH MATERIALIZED VIEW CONCURRENTLY app."M";',
    ],
  ])('%s says what to do', (_what, sql, expected) => {
    expect(findingsOf(sql)[0]?.message).toContain(expected);
  });

  test('a constraint that the registry lists says so', async () => {
    const entry = entryOf('alter table t add constraint k unique (a)');
    const linter = new MigrationLinter(
      new RegisteredIndexes(await compileRegistry(entry === null ? [] : [entry], 'the test')),
    );
    const [same, other] = ['a', 'b'].flatMap(
      (column) =>
        linter.lint({
          file: 'z.sql',
          text: `alter table t add constraint k unique (${column})`,
          hasLines: true,
        }).findings,
    );
    expect(same?.message).toContain('The registry lists k already: remove the constraint here.');
    expect(other?.message).toContain('The registry lists k with another definition');
    expect([same?.entry, other?.entry]).toEqual([undefined, undefined]);
  });
});

const CONSTRAINTS = [
  'alter table t add unique (a, "C")',
  'alter table t add constraint "My key" unique (b)',
  'alter table t add primary key (id)',
  'alter table s."T" add constraint k unique ("A") with (fillfactor = 70)',
  'alter table t add constraint included unique (a) include (b, "C")',
];

test.each(CONSTRAINTS)('the entry for a constraint compiles: %s', async (sql) => {
  const entry = entryOf(sql);
  const [compiled] = await compileRegistry(entry === null ? [] : [entry], 'the test');
  expect(compiled).toMatchObject({ name: entry?.name, critical: true, constraint: { name: entry?.name } });
});

test('the entry for a partitioned table is a unique index without the constraint, which PostgreSQL does not support there', () => {
  const entry = entryOf('alter table p add constraint k unique (a)', EXISTING);
  expect(entry).toMatchObject({
    name: 'k',
    sql: 'create unique index concurrently if not exists k on p (a)',
  });
  expect(entry).not.toHaveProperty('constraint');
  expect(entryOf('alter table p add primary key (a)', EXISTING)).toBeNull();
});

onEachMajor('the server', (major) => {
  let database: TestDatabase;
  let client: Client;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    client = await connect(database.url);
    await client.query(`${EXISTING} create schema s; create table s."T" ("A" int)`);
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  test('adds the same constraint with the index of the entry', async () => {
    const supported =
      major >= 15 ? [...CONSTRAINTS, 'alter table t add unique nulls not distinct (a)'] : CONSTRAINTS;
    for (const sql of supported) {
      const entry = entryOf(sql);
      const table = sql.split(' ')[2] ?? '';
      const definition = async () =>
        await database.query(
          `select conname, pg_get_constraintdef(oid) as definition, pg_get_indexdef(conindid) as index
           from pg_constraint where conrelid = $1::regclass and contype in ('u', 'p')`,
          [table],
        );
      await database.query(sql);
      const expected = await definition();
      await database.query(`alter table ${table} drop constraint "${entry?.name}"`);
      await database.query(entry?.sql ?? '');
      const { name, type } = entry?.constraint ?? {};
      await database.query(
        `alter table ${table} add constraint "${name}" ${type} using index "${entry?.name}"`,
      );
      expect(await definition()).toEqual(expected);
      await database.query(`alter table ${table} drop constraint "${name}"`);
    }
  });

  test.each([
    ['alter table t add unique (a)', 't'],
    ['alter table t add column d int unique', 't'],
    ['alter table p detach partition p1', 'p'],
    ['cluster t using t_a', 't'],
    ['refresh materialized view m', 'm'],
  ])('blocks reads with %s', async (sql, relation) => {
    await client.query('begin');
    try {
      await client.query(sql);
      const { rows } = await client.query(
        `select 1 from pg_locks where relation = $1::regclass and mode = 'AccessExclusiveLock' and pid = pg_backend_pid()`,
        [relation],
      );
      expect(rows).toHaveLength(1);
    } finally {
      await client.query('rollback');
    }
  });
});
