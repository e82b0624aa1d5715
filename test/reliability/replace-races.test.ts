import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deadName, replacementName } from '../../lambdas/postgres/index-names.ts';
import { openBuilds, type TestBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';
import { waitForBuildPhase, waitForRows } from '../support/waits.ts';

const ENTRY = {
  name: 'people_key',
  sql: 'create unique index concurrently if not exists people_key on people (id, age)',
  onDrift: 'rebuild' as const,
};

describe.each(MAJORS)(
  'a drifted index whose table changes during its replacement, on PostgreSQL %i',
  (major) => {
    const server = serverOf(major);
    let database: TestDatabase;
    let builds: TestBuilds;
    const sessions: Client[] = [];

    beforeEach(async () => {
      database = await server.createDatabase();
      await database.query(
        `create table other (id int); create table orders (person int);
       create table people (id int not null, age int not null);
       insert into people select n, n % 90 from generate_series(1, 3000) n;
       create unique index people_key on people (id);
       create publication everything for all tables`,
      );
      builds = await openBuilds(database.url, [ENTRY]);
    });
    afterEach(async () => {
      await Promise.all(sessions.splice(0).map((session) => session.end()));
      await expectNoLeftovers(async (sql) => await database.query(sql));
      await database.drop();
    });

    async function session(name: string): Promise<Client> {
      const client = await connect(database.url, name);
      sessions.push(client);
      return client;
    }

    interface KeyIndex {
      name: string;
      columns: number;
      replicaIdentity: boolean;
      clustered: boolean;
    }

    async function readKeys(): Promise<KeyIndex[]> {
      return await database.query<KeyIndex & Record<string, unknown>>(
        `select c.relname as name, i.indnatts::int as columns, i.indisreplident as "replicaIdentity", i.indisclustered as clustered
         from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indrelid = 'people'::regclass and i.indisvalid order by 1`,
      );
    }
    const OLD = { name: 'people_key', columns: 1, replicaIdentity: false, clustered: false };
    const NEW = { ...OLD, columns: 2 };

    function names(): { dead: string; replacement: string } {
      const [index] = builds.registry;
      if (index === undefined) throw new Error('The registry is empty.');
      return { dead: deadName(index), replacement: replacementName(index) };
    }

    /** Deploys; another session's statement waits for the build's table lock and runs before the swap. */
    async function deployWith(statement: string) {
      const snapshot = await session('snapshot');
      await snapshot.query('begin isolation level repeatable read; select from other');
      const deploy = builds.deploy('first');
      deploy.catch(() => undefined);
      await waitForBuildPhase(database, 'people', 'waiting for old snapshots');
      const dba = await session('dba');
      const change = dba.query(statement);
      change.catch(() => undefined);
      await waitForRows(
        database,
        "select from pg_locks join pg_stat_activity using (pid) where datname = current_database() and application_name = 'dba' and not granted",
      );
      await snapshot.query('commit');
      await change;
      return await deploy;
    }

    async function expectNothingToDo(): Promise<void> {
      const { preflight } = await openPreflight(database.url, [{ ...ENTRY, critical: true }]);
      expect(await preflight()).toMatchObject({ decision: 'nothing' });
    }

    test('passes on the replica identity that another session sets during the build', async () => {
      const report = await deployWith('alter table people replica identity using index people_key');

      expect(report.people_key).toMatchObject({ status: 'built', attempts: 1 });
      expect(await readKeys()).toEqual([{ ...NEW, replicaIdentity: true }]);
      await database.query('update people set age = 7 where id = 1');
      await expectNothingToDo();
    });

    test('passes on the CLUSTER mark and the comment that another session sets during the build', async () => {
      const report = await deployWith(
        "alter table people cluster on people_key; comment on index people_key is 'the key'",
      );

      expect(report.people_key).toMatchObject({ status: 'built' });
      expect(await readKeys()).toEqual([{ ...NEW, clustered: true }]);
      expect(await database.query("select obj_description('people_key'::regclass) as comment")).toEqual([
        { comment: 'the key' },
      ]);
    });

    test('is kept if another session adds a foreign key during the build', async () => {
      const report = await deployWith(
        'alter table orders add constraint buyer foreign key (person) references people (id)',
      );

      expect(report.people_key).toMatchObject({ status: 'drifted', attempts: 1, error: null });
      expect(builds.drifted).toEqual([
        expect.stringContaining('It is used by foreign key buyer on table orders'),
      ]);
      expect(await readKeys()).toEqual([OLD]);
      const [attempt] = await database.query('select status, message from deploy_step.index_builds');
      expect(attempt).toEqual({
        status: 'drifted',
        message: expect.stringMatching(
          /was not replaced, because it is used by foreign key buyer(?!.*CASCADE)/,
        ),
      });
      await expectNothingToDo();
    });

    test('is replaced by the next attempt, without another build, if a reader blocks REPLICA IDENTITY', async () => {
      await database.query('alter table people replica identity using index people_key');
      const reader = await session('reader');
      await reader.query('begin; select count(*) from people');

      await expect(builds.build('first', 'people_key')).rejects.toMatchObject({
        name: 'LockNotAvailable',
        message: expect.stringMatching(/its replacement is built.*Blocked by pid \d+ \(reader/),
      });

      const { replacement } = names();
      expect(await readKeys()).toEqual([
        { ...OLD, replicaIdentity: true },
        { ...NEW, name: replacement },
      ]);
      const [built] = await database.query(`select '${replacement}'::regclass::oid as oid`);
      await reader.query('commit');
      expect(await builds.build('first', 'people_key')).toMatchObject({ state: 'done', status: 'built' });
      expect(await readKeys()).toEqual([{ ...NEW, replicaIdentity: true }]);
      expect(await database.query("select 'people_key'::regclass::oid as oid")).toEqual([built]);
    });

    test('keeps its replacement if the table is locked when the next attempt begins', async () => {
      const { replacement } = names();
      await database.query(`create unique index ${replacement} on people (id, age)`);
      const [built] = await database.query(`select '${replacement}'::regclass::oid as oid`);
      const holder = await session('holder');
      await holder.query('begin; lock table people in access exclusive mode');

      await expect(builds.build('first', 'people_key')).rejects.toMatchObject({
        name: 'LockNotAvailable',
        message: expect.stringMatching(/Blocked by pid \d+ \(holder/),
      });

      await holder.query('commit');
      await builds.deploy('next');
      expect(await readKeys()).toEqual([NEW]);
      expect(await database.query("select 'people_key'::regclass::oid as oid")).toEqual([built]);
    });

    test('loses its replacement if a foreign key was added after a worker died before the swap', async () => {
      await database.query(
        `create unique index ${names().replacement} on people (id, age);
       alter table orders add constraint buyer foreign key (person) references people (id)`,
      );

      expect((await builds.deploy('next')).people_key).toMatchObject({ status: 'drifted', attempts: 0 });
      expect(await readKeys()).toEqual([OLD]);
      await expectNothingToDo();
    });

    test('is dropped by the next deploy if a worker died after the swap', async () => {
      const { dead } = names();
      await database.query(
        `alter index people_key rename to ${dead}; create unique index people_key on people (id, age);
       alter table people replica identity using index people_key; comment on index ${dead} is 'old'`,
      );

      expect((await builds.deploy('next')).people_key).toMatchObject({ status: 'present' });
      expect(await readKeys()).toEqual([{ ...NEW, replicaIdentity: true }]);
    });

    test('gives its marks to the new index if an earlier version has not moved them in the swap', async () => {
      const { dead } = names();
      await database.query(
        `alter table people replica identity using index people_key; alter table people cluster on people_key;
       alter index people_key rename to ${dead}; create unique index people_key on people (id, age)`,
      );

      expect((await builds.deploy('next')).people_key).toMatchObject({ status: 'present' });
      expect(await readKeys()).toEqual([{ ...NEW, replicaIdentity: true, clustered: true }]);
      await expectNothingToDo();
    });

    test('gets its name back if a foreign key uses it after the swap', async () => {
      const { dead } = names();
      await database.query(
        `alter table orders add constraint buyer foreign key (person) references people (id);
       alter index people_key rename to ${dead}; create unique index people_key on people (id, age);
       alter table people replica identity using index people_key; comment on index people_key is 'set later'`,
      );

      const report = await builds.deploy('next');

      expect(report.people_key).toMatchObject({ status: 'drifted', error: null });
      expect(await readKeys()).toEqual([{ ...OLD, replicaIdentity: true }]);
      expect(await database.query("select obj_description('people_key'::regclass) as comment")).toEqual([
        { comment: 'set later' },
      ]);
      await expectNothingToDo();
    });

    test('stays beside the new index if foreign keys use both, and no later deploy stops services for it', async () => {
      const { dead } = names();
      await database.query(
        `alter table orders add constraint buyer foreign key (person) references people (id), add column age int;
       alter index people_key rename to ${dead}; create unique index people_key on people (id, age);
       alter table orders add constraint pair foreign key (person, age) references people (id, age)`,
      );

      await expectNothingToDo();
      expect((await builds.deploy('next')).people_key).toMatchObject({ status: 'present' });
      expect(await readKeys()).toEqual([NEW, { ...OLD, name: dead }]);
      await database.query(`alter table orders drop constraint buyer; drop index ${dead}`);
    });
  },
);

describe.each(MAJORS)(
  'an invalid index is repaired with everything that it had, on PostgreSQL %i',
  (major) => {
    let database: TestDatabase;
    useDatabase(
      major,
      `create table people (id int not null, email text); insert into people select n, 'p' || n from generate_series(1, 500) n`,
      (opened) => {
        database = opened;
      },
    );

    const ENTRY_OF_EMAIL = {
      name: 'people_email',
      sql: 'create unique index concurrently if not exists people_email on people (lower(email), id)',
    };
    const INVALID = `
    create unique index people_email on people (lower(email), id) with (fillfactor = 55);
    comment on index people_email is 'sign-in'; alter index people_email alter column 1 set statistics 321;
    update pg_index set indisvalid = false where indexrelid = 'people_email'::regclass`;

    test('its comment, storage options and statistics targets', async () => {
      await database.query(INVALID);
      const builds = await openBuilds(database.url, [ENTRY_OF_EMAIL]);

      expect((await builds.deploy('first')).people_email).toMatchObject({ status: 'repaired', attempts: 1 });

      const [kept] = await database.query(
        `select obj_description(c.oid, 'pg_class') as comment, c.reloptions, a.attstattarget::int as target, i.indisvalid
         from pg_class c join pg_index i on i.indexrelid = c.oid join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
        where c.relname = 'people_email'`,
      );
      expect(kept).toEqual({
        comment: 'sign-in',
        reloptions: ['fillfactor=55'],
        target: 321,
        indisvalid: true,
      });
      expect((await builds.deploy('second')).people_email).toMatchObject({ status: 'present', attempts: 0 });
    });

    test('and it does not stay invalid if it cannot be built', async () => {
      await database.query("update people set email = 'same', id = 1 where id < 3");
      await database.query(
        `delete from people where id = 1; ${INVALID}; insert into people values (900, 'twice')`,
      );
      await database.query(
        "update pg_index set indisready = false where indexrelid = 'people_email'::regclass",
      );
      await database.query("insert into people values (900, 'twice')");
      const builds = await openBuilds(database.url, [ENTRY_OF_EMAIL]);

      expect((await builds.deploy('first')).people_email).toMatchObject({
        status: 'failed',
        error: { sqlstate: '23505' },
      });
      expect(await database.query("select to_regclass('people_email') as found")).toEqual([{ found: null }]);
    });

    test('as a member of an extension it fails with the statement that repairs it, and is not renamed', async () => {
      await database.query(`${INVALID};
      insert into pg_depend select 'pg_class'::regclass, 'people_email'::regclass, 0, 'pg_extension'::regclass, oid, 0, 'e' from pg_extension`);
      const builds = await openBuilds(database.url, [ENTRY_OF_EMAIL]);

      const { people_email: report } = await builds.deploy('first');

      expect(report).toMatchObject({ status: 'failed', attempts: 0, error: { sqlstate: '2BP01' } });
      expect(report?.error?.message).toContain('because it belongs to extension plpgsql');
      const statement = report?.error?.message.match(/REINDEX INDEX CONCURRENTLY [^;]*;/)?.[0] ?? 'missing';
      await database.query(statement);
      expect((await builds.deploy('second')).people_email).toMatchObject({ status: 'present' });
    });

    test('in its place if it is attached to the index of a partitioned table', async () => {
      await database.query(
        `create table events (id int not null, kind text) partition by range (id);
       create table events_1 partition of events for values from (0) to (1000);
       create unique index events_key on events (id); alter index events_1_id_idx rename to part;
       alter table events_1 replica identity using index part; alter table events_1 cluster on part;
       comment on index part is 'of a partition'; alter index part set (fillfactor = 44);
       update pg_index set indisvalid = false where indexrelid = 'part'::regclass`,
      );
      const builds = await openBuilds(database.url, [
        { name: 'part', sql: 'create unique index concurrently if not exists part on events_1 (id)' },
      ]);

      expect((await builds.deploy('first')).part).toMatchObject({ status: 'repaired', attempts: 1 });

      const [kept] = await database.query(
        `select i.indisvalid, i.indisreplident, i.indisclustered, c.relispartition, c.reloptions, obj_description(c.oid, 'pg_class') as comment
         from pg_class c join pg_index i on i.indexrelid = c.oid where c.relname = 'part'`,
      );
      expect(kept).toEqual({
        ...{ indisvalid: true, indisreplident: true, indisclustered: true, relispartition: true },
        ...{ reloptions: ['fillfactor=44'], comment: 'of a partition' },
      });
      await database.query('drop table events');
    });
  },
);
