import { describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { MAJORS, type TestServer } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

/** What PostgreSQL stores about an index, except its definition. */
interface Kept {
  replicaIdentity: boolean;
  clustered: boolean;
  comment: string | null;
  options: string[] | null;
  tablespace: string | null;
  extensions: string[];
  statistics: Record<string, number>;
}

const NOTHING: Kept = {
  replicaIdentity: false,
  clustered: false,
  comment: null,
  options: null,
  tablespace: null,
  extensions: [],
  statistics: {},
};

describe.each(MAJORS)('the replacement of a drifted index, on PostgreSQL %i', (major) => {
  let server: TestServer;
  let database: TestDatabase;
  useDatabase(
    major,
    `create table people (id int not null, age int not null, email text);
       insert into people select n, n % 90, 'p' || n from generate_series(1, 3000) n`,
    (opened, on) => {
      database = opened;
      server = on;
    },
  );

  async function readKept(name: string): Promise<Kept | undefined> {
    const rows = await database.query<Kept & Record<string, unknown>>(
      `select i.indisreplident as "replicaIdentity",
              i.indisclustered as clustered,
              obj_description(c.oid, 'pg_class') as comment,
              c.reloptions as options,
              (select spcname::text from pg_tablespace s where s.oid = c.reltablespace) as tablespace,
              array(select extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid
                     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'x') as extensions,
              coalesce((select json_object_agg(pg_get_indexdef(c.oid, a.attnum, false), a.attstattarget)
                          from pg_attribute a where a.attrelid = c.oid and a.attstattarget >= 0), '{}') as statistics
         from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relname = $1 and i.indisvalid`,
      [name],
    );
    return rows[0];
  }

  async function definitionOf(name: string): Promise<unknown> {
    return (await database.query('select pg_get_indexdef($1::regclass) as text', [name]))[0]?.text;
  }

  /** Deploys twice: the first deploy replaces the index, the second has nothing to do. */
  async function replace(sql: string, table = 'people'): Promise<void> {
    const entry = `create ${sql.replace('index', 'index concurrently if not exists drifted')}`;
    const builds = await openBuilds(database.url, [
      { name: 'drifted', sql: entry.replace(' on ', ` on ${table} `), onDrift: 'rebuild' },
    ]);
    const [before] = await database.query("select 'drifted'::regclass::oid as oid");
    expect((await builds.deploy('first')).drifted).toMatchObject({ status: 'built', error: null });
    const [after] = await database.query("select 'drifted'::regclass::oid as oid");
    expect(after).not.toEqual(before);
    expect((await builds.deploy('second')).drifted).toMatchObject({ status: 'present', attempts: 0 });
    expect(await database.query("select 'drifted'::regclass::oid as oid")).toEqual([after]);
  }

  test('is the replica identity if the index was, and published rows can be updated and deleted', async () => {
    await database.query(
      `create unique index drifted on people (id);
       alter table people replica identity using index drifted;
       create publication everything for all tables`,
    );

    await replace('unique index on (id, age)');

    expect(await readKept('drifted')).toEqual({ ...NOTHING, replicaIdentity: true });
    await database.query('update people set age = 3 where id = 1; delete from people where id = 2');
    expect(await definitionOf('drifted')).toContain('(id, age)');
  });

  test('has the cluster mark if the index had it', async () => {
    await database.query('create index drifted on people (id); alter table people cluster on drifted');

    await replace('index on (id, age)');

    expect(await readKept('drifted')).toEqual({ ...NOTHING, clustered: true });
    await database.query('cluster people');
  });

  test('of a materialized view has the cluster mark and the comment', async () => {
    await database.query(
      `create materialized view ages as select id, age from people;
       create index drifted on ages (age);
       alter materialized view ages cluster on drifted; comment on index drifted is 'by age'`,
    );

    await replace('index on (age, id)', 'ages');

    expect(await readKept('drifted')).toEqual({ ...NOTHING, clustered: true, comment: 'by age' });
  });

  test("has the index's comment, whatever it contains", async () => {
    const comment = `it's "quoted" \\ and\n$1 %s 日本`;
    await database.query('create index drifted on people (age)');
    await database.query(
      `do $do$ begin execute format('comment on index drifted is %L', convert_from(decode('${Buffer.from(comment).toString('hex')}', 'hex'), 'utf8')); end $do$`,
    );

    await replace('index on (age, id)');

    expect(await readKept('drifted')).toEqual({ ...NOTHING, comment });
  });

  test('has the statistics target of each expression, although the columns have other positions', async () => {
    await database.query(
      `create index drifted on people (lower(email), (age + 1), upper(email));
       alter index drifted alter column 1 set statistics 500;
       alter index drifted alter column 2 set statistics 0`,
    );

    await replace('index on (id, (age + 1), lower(email))');

    expect(await readKept('drifted')).toEqual({
      ...NOTHING,
      statistics: { 'lower(email)': 500, '((age + 1))': 0 },
    });
    // The statistics were collected with these targets.
    const collected = await database.query("select attname from pg_stats where tablename = 'drifted'");
    expect(collected).toEqual([{ attname: 'lower' }]);
  });

  test('has the storage options of the index that the registry does not name', async () => {
    await database.query(
      'create index drifted on people (age) with (fillfactor = 61, deduplicate_items = off)',
    );

    await replace('index on (age, id) with (fillfactor = 72)');

    expect((await readKept('drifted'))?.options?.toSorted()).toEqual([
      'deduplicate_items=off',
      'fillfactor=72',
    ]);
  });

  test('is built with the storage options that the registry does not name', async () => {
    await database.query(
      'create extension pageinspect; create index drifted on people using brin (age) with (pages_per_range = 7)',
    );

    await replace("index on using brin (age, id) where email <> ' WITH (x) WHERE '");

    expect(await readKept('drifted')).toEqual({ ...NOTHING, options: ['pages_per_range=7'] });
    expect(
      await database.query("select pagesperrange from brin_metapage_info(get_raw_page('drifted', 0))"),
    ).toEqual([{ pagesperrange: 7 }]);
  });

  test('has no storage options of another access method', async () => {
    await database.query('create index drifted on people (age) with (deduplicate_items = off)');

    await replace('index on using hash (age)');

    expect(await readKept('drifted')).toEqual(NOTHING);
  });

  test('is in the tablespace of the index, unless the registry names one', async () => {
    const [one, two] = [`one_${database.name}`, `two_${database.name}`];
    const admin = await connect(server.adminUrl);
    await admin.query('set allow_in_place_tablespaces = on');
    const deploy = new URL(database.deployUrl).username;
    for (const name of [one, two]) {
      await admin.query(`create tablespace ${name} location ''`);
      await admin.query(`grant create on tablespace ${name} to ${deploy}`);
    }
    try {
      await database.query(`create index drifted on people (age) tablespace ${one}`);
      await replace('index on (age, id)');
      expect(await readKept('drifted')).toEqual({ ...NOTHING, tablespace: one });
      await replace(`index on (age, id) with (fillfactor = 50) tablespace ${two}`);
      expect(await readKept('drifted')).toEqual({ ...NOTHING, tablespace: two, options: ['fillfactor=50'] });
    } finally {
      await database.query('drop table people');
      for (const name of [one, two]) await admin.query(`drop tablespace ${name}`);
      await admin.end();
    }
  });

  test('depends on the extensions on which the index depended', async () => {
    await database.query(
      'create index drifted on people (age); alter index drifted depends on extension plpgsql',
    );

    await replace('index on (age, id)');

    expect(await readKept('drifted')).toEqual({ ...NOTHING, extensions: ['plpgsql'] });
  });

  test('has all of it at once', async () => {
    await database.query(
      `create unique index drifted on people (id) with (fillfactor = 50);
       alter table people replica identity using index drifted;
       alter table people cluster on drifted;
       comment on index drifted is 'the key';
       alter index drifted depends on extension plpgsql`,
    );

    await replace('unique index on (id) include (age)');

    expect(await readKept('drifted')).toEqual({
      ...NOTHING,
      replicaIdentity: true,
      clustered: true,
      comment: 'the key',
      options: ['fillfactor=50'],
      extensions: ['plpgsql'],
    });
  });
});
