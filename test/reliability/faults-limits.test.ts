import { beforeEach, describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const VALUES_N = {
  name: 'values_n',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS values_n ON values_ (n)',
};

describe.each(MAJORS)('limits and privileges of a role, PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let url: string;

  beforeEach(async () => {
    database = await server.createDatabase();
    const role = `builder_of_${database.name}`;
    await database.query(
      `create role ${role} login password 'builder';
       create table values_ (n int); insert into values_ select generate_series(1, 200000);
       alter table values_ owner to ${role};
       grant create on database ${database.name} to ${role};
       grant create on schema public to ${role}`,
    );
    url = Object.assign(new URL(database.url), { username: role, password: 'builder' }).href;
    return async () => {
      await expectNoLeftovers(async (sql) => await database.query(sql));
      await database.query(`drop owned by ${role}; drop role ${role}`);
      await database.drop();
    };
  });

  const asSuperuser = async (sql: string) =>
    await database.query(sql.replace('$role', `builder_of_${database.name}`));

  test('a role at its connection limit fails with ConnectionLost, and the index is built when a connection is free', async () => {
    await asSuperuser('alter role $role connection limit 1');
    const other = await connect(url);
    const builds = await openBuilds(url, [VALUES_N]);

    const build = builds.build('first', 'values_n');
    await expect(build).rejects.toMatchObject({ name: 'ConnectionLost', sqlstate: '53300' });
    await other.end();
    const reports = await builds.deploy('first');

    expect(reports.values_n).toMatchObject({ status: 'built', attempts: 1 });
    expect((await builds.deploy('second')).values_n).toMatchObject({ status: 'present' });
  });

  test('a server that has become read-only, as after a failover, is retried until it accepts writes', async () => {
    const builds = await openBuilds(url, [VALUES_N]);
    await asSuperuser('alter role $role set default_transaction_read_only = on');

    await expect(builds.build('first', 'values_n')).rejects.toMatchObject({
      name: 'ConnectionLost',
      sqlstate: '25006',
    });
    await asSuperuser('alter role $role reset default_transaction_read_only');

    expect((await builds.deploy('first')).values_n).toMatchObject({ status: 'built' });
  });

  test('one connection is enough for a deploy, and also for recording a failure', async () => {
    await asSuperuser('alter role $role connection limit 1');
    const builds = await openBuilds(url, [
      { name: 'colour', sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS colour ON values_ (colour)' },
    ]);

    const reports = await builds.deploy('first');

    expect(reports.colour).toMatchObject({ status: 'failed', attempts: 1, error: { sqlstate: '42703' } });
  });

  test('a build that exceeds temp_file_limit is not retried', async () => {
    await asSuperuser("alter role $role set temp_file_limit = '1MB'");
    await asSuperuser("alter role $role set maintenance_work_mem = '1MB'");
    const builds = await openBuilds(url, [VALUES_N]);

    for (const deploy of ['first', 'second']) {
      expect((await builds.deploy(deploy)).values_n).toMatchObject({
        status: 'failed',
        attempts: 1,
        error: { sqlstate: '53400', message: expect.stringContaining('temp_file_limit') },
      });
    }
  });

  test('an index on a table that the role does not own fails with 42501, and the index on the other table is built', async () => {
    await database.query('create table foreign_ (n int)');
    const builds = await openBuilds(url, [
      VALUES_N,
      { name: 'foreign_n', sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS foreign_n ON foreign_ (n)' },
    ]);

    for (const deploy of ['first', 'second']) {
      const reports = await builds.deploy(deploy);
      expect(reports.foreign_n).toMatchObject({
        status: 'failed',
        attempts: 1,
        error: { sqlstate: '42501', message: expect.stringMatching(/permission denied|must be owner/) },
      });
      expect(reports.values_n).toMatchObject({ status: deploy === 'first' ? 'built' : 'present' });
    }
  });
});
