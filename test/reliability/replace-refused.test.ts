import { describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

interface Refused {
  name: string;
  /** Statements that create the index `drifted`, and what depends on it. */
  prepare: string;
  /** The index in the registry, from CREATE on, without its name. */
  wanted: string;
  reason: string;
  fix: string;
  /** @default 14 */
  since?: number;
}

const REFUSED: Refused[] = [
  {
    name: 'a primary key',
    prepare: 'alter table people add constraint drifted primary key (id)',
    wanted: 'unique index on people (id, age)',
    reason: 'It backs a constraint, so it is not replaced',
    fix: 'change constraint drifted on table people in a migration',
  },
  {
    name: 'an exclusion constraint',
    prepare: 'alter table people add constraint drifted exclude using btree (id with =)',
    wanted: 'index on people (id, age)',
    reason: 'It backs a constraint, so it is not replaced',
    fix: 'change constraint drifted on table people in a migration',
  },
  {
    name: 'a foreign key',
    prepare:
      'create unique index drifted on people (id); create table orders (person int constraint buyer references people (id))',
    wanted: 'unique index on people (id, age)',
    reason: 'It is used by foreign key buyer on table orders, so it is not replaced',
    fix: 'drop the foreign key in a migration and add it again after the deploy',
  },
  {
    name: 'foreign keys of a partitioned table and of the table itself',
    prepare: `create unique index drifted on people (id); alter table people add constraint chief foreign key (age) references people (id) not valid;
      create table orders (person int constraint buyer references people (id)) partition by hash (person);
      create table orders_1 partition of orders for values with (modulus 2, remainder 0)`,
    wanted: 'unique index on people (id, age)',
    reason:
      'It is used by foreign key buyer on table orders, foreign key chief on table people, so it is not replaced',
    fix: 'drop the foreign key in a migration',
  },
  {
    name: 'the attachment to the index of a partitioned table',
    prepare: `create table events (id int, kind text) partition by range (id);
      create table events_1 partition of events for values from (0) to (1000);
      create index drifted on events_1 (kind); create index events_by_kind on events (kind)`,
    wanted: 'index on events_1 (kind, id)',
    reason: 'It is attached to index events_by_kind on table events, so it is not replaced',
    fix: 'change that index',
  },
  {
    name: 'the partitions of its table',
    prepare: `create table events (id int, kind text) partition by range (id);
      create table events_1 partition of events for values from (0) to (1000); create index drifted on events (kind)`,
    wanted: 'index on events (kind, id)',
    reason: 'It is on a partitioned table, so it is not replaced',
    fix: 'change the index in a migration',
  },
  {
    name: 'membership in an extension',
    prepare: `create index drifted on people (id);
      insert into pg_depend select 'pg_class'::regclass, 'drifted'::regclass, 0, 'pg_extension'::regclass, oid, 0, 'e' from pg_extension`,
    wanted: 'index on people (id, age)',
    reason: 'It belongs to extension plpgsql, so it is not replaced',
    fix: 'change it in an update of the extension',
  },
  {
    name: 'a dependant of a kind that is not known',
    prepare: `create index drifted on people (id); create view later as select 1 as n;
      insert into pg_depend select 'pg_class'::regclass, 'later'::regclass, 0, 'pg_class'::regclass, 'drifted'::regclass, 0, 'n'`,
    wanted: 'index on people (id, age)',
    reason: 'It has a dependency that a replacement would lose (view public.later), so it is not replaced',
    fix: 'remove the dependency',
  },
  ...(
    [
      ['not unique', 'index on people (id)', 'it is not unique'],
      ['partial', 'unique index on people (id) where age > 3', 'it is partial'],
      ['an expression', 'unique index on people (id, (age + 1))', 'it has an expression'],
      ['nullable', 'unique index on people (id, email)', 'NULL is allowed in email'],
    ] as const
  ).map(([name, wanted, reason]) => ({
    name: `the replica identity, and the new index is ${name}`,
    prepare:
      'create unique index drifted on people (id, age); alter table people replica identity using index drifted',
    wanted,
    reason: `It is the replica identity of its table, and the index of the registry cannot be that: ${reason}, so it is not replaced`,
    fix: 'ALTER TABLE "public"."people" REPLICA IDENTITY',
  })),
  {
    name: 'the replica identity, and a publication does not have the new column',
    since: 15,
    prepare: `create unique index drifted on people (id); alter table people replica identity using index drifted;
      create publication narrow for table people (id, email)`,
    wanted: 'unique index on people (id, age)',
    reason: 'publication narrow does not publish age',
    fix: 'ALTER TABLE "public"."people" REPLICA IDENTITY',
  },
  {
    name: 'the replica identity, and a publication filters by a column that the new index does not have',
    since: 15,
    prepare: `create unique index drifted on people (id, age); alter table people replica identity using index drifted;
      create publication grown for table people where (age > 17)`,
    wanted: 'unique index on people (id)',
    reason: 'publication grown filters rows by age',
    fix: 'ALTER TABLE "public"."people" REPLICA IDENTITY',
  },
  {
    name: 'the replica identity, and a publication does not have a generated column',
    since: 18,
    prepare: `alter table people add column twice int generated always as (id * 2) stored not null;
      create unique index drifted on people (id); alter table people replica identity using index drifted;
      create publication everything for all tables`,
    wanted: 'unique index on people (id, twice)',
    reason: 'publication everything does not publish twice',
    fix: 'ALTER TABLE "public"."people" REPLICA IDENTITY',
  },
  {
    name: 'the CLUSTER mark, and the new index is partial',
    prepare: 'create index drifted on people (id); alter table people cluster on drifted',
    wanted: 'index on people (id) where age > 3',
    reason:
      'It is the index on which its table is clustered, and the index of the registry cannot be that: it is partial',
    fix: 'ALTER TABLE "public"."people" SET WITHOUT CLUSTER',
  },
  {
    name: 'the CLUSTER mark, and the new access method has no order',
    prepare: 'create index drifted on people (id); alter table people cluster on drifted',
    wanted: 'index on people using hash (id)',
    reason: 'CLUSTER does not support the access method hash',
    fix: 'ALTER TABLE "public"."people" SET WITHOUT CLUSTER',
  },
];

describe.each(MAJORS)('a drifted index is kept and reported because of, on PostgreSQL %i,', (major) => {
  let database: TestDatabase;
  useDatabase(major, 'create table people (id int not null, age int not null, email text)', (opened) => {
    database = opened;
  });

  async function readState(): Promise<unknown> {
    return await database.query(
      `select c.oid, c.relname, pg_get_indexdef(c.oid) as definition, i.indisreplident, i.indisclustered, i.indisvalid
         from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace = 'public'::regnamespace order by 1`,
    );
  }

  const cases = REFUSED.filter(({ since = 14 }) => since <= major).map((one) => [one.name, one] as const);

  test.each(cases)('%s', async (_name, { prepare, wanted, reason, fix }) => {
    await database.query(prepare);
    const before = await readState();
    const entry = {
      name: 'drifted',
      sql: `create ${wanted.replace('index', 'index concurrently if not exists drifted')}`,
      onDrift: 'rebuild' as const,
    };
    const builds = await openBuilds(database.url, [entry]);

    // The plan has no build, and the preflight stops no service for it, also when the index is critical.
    expect(await builds.plan('plan')).toEqual([]);
    for (const critical of [false, true]) {
      const { preflight } = await openPreflight(database.url, [{ ...entry, critical }]);
      expect(await preflight()).toMatchObject({ decision: 'nothing', refusal: null });
    }
    const report = await builds.deploy('first');

    expect(report.drifted).toMatchObject({ status: 'drifted', attempts: 0, error: null });
    expect(builds.drifted).toEqual([expect.stringContaining(reason)]);
    expect(builds.drifted[0]).toMatch(/: correct the registry, or .*\.$/);
    expect(builds.drifted[0]).toContain(fix);
    expect(builds.drifted[0]).not.toContain('CASCADE');
    expect(await readState()).toEqual(before);
  });
});
