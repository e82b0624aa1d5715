import { Client, type ClientConfig } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkSessions } from '../../lambdas/check-sessions/check-sessions.ts';
import { databaseOf } from '../../lambdas/postgres/client.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';
import { waitForRows } from '../support/waits.ts';

onEachMajor('the sessions of the application', (major) => {
  let database: TestDatabase;
  let app: string;
  let sessions: Client[];

  useDatabase(major, 'create table orders (id int)', (opened) => {
    database = opened;
  });
  beforeEach(async () => {
    sessions = [];
    app = `app_${database.name}`;
    await database.query(
      `create role ${app} login password 'app';
       create role of_${app} login noinherit password 'app'; grant ${app} to of_${app};
       create role other_${app} login password 'app'`,
    );
  });
  afterEach(async () => {
    await Promise.all(sessions.map((session) => session.end()));
    // The server ends a session some time after its client.
    await waitForRows(
      database,
      "select where not exists (select from pg_stat_activity where usename like '%' || $1)",
      [app],
    );
    await database.query(`drop role ${app}, of_${app}, other_${app}`);
  });

  async function open(url: string, application: string): Promise<Client> {
    const session = await connect(url, application);
    sessions.push(session);
    return session;
  }
  const as = (role: string) => {
    const url = new URL(database.url);
    url.username = role;
    url.password = 'app';
    return url.href;
  };
  const check = async (settings: { roles?: string[]; applicationNames?: string[] }) =>
    await checkSessions({
      database: databaseOf({ DATABASE_URL: database.deployUrl }),
      ...{ roles: [], applicationNames: [], ...settings },
      log: { info: () => {}, warn: () => {}, error: () => {} },
    });

  test('a session of the application that has the name of a session of the deploy is found', async () => {
    await open(as(app), 'pg-deploy-step build public.orders_id');

    expect(await check({ roles: [app] })).toMatchObject({
      remaining: 1,
      sessions: expect.stringContaining(`(pg-deploy-step build public.orders_id, role ${app}, from `),
    });
    expect(await check({ applicationNames: ['%orders%'] })).toMatchObject({ remaining: 1 });
  });

  test('sessions of the deploy role and of superusers with such a name are omitted, also where their role is listed', async () => {
    await open(database.deployUrl, 'pg-deploy-step build public.orders_id');
    await open(database.url, 'pg-deploy-step run 1');
    const deploy = decodeURIComponent(new URL(database.deployUrl).username);

    expect(await check({ roles: [deploy, 'postgres'], applicationNames: ['pg-%'] })).toEqual({
      remaining: 0,
      sessions: '',
    });
    await open(database.url, 'shop');
    expect(await check({ roles: [deploy, 'postgres'] })).toMatchObject({ remaining: 1 });
  });

  test('a role that cannot see the state of other sessions finds them too', async () => {
    const deploy = decodeURIComponent(new URL(database.deployUrl).username);
    await database.query(`revoke pg_read_all_stats from "${deploy}"`);
    const session = await open(as(app), 'shop \u001b[31m\n');
    await session.query('begin');

    expect(await check({ roles: [app] })).toEqual({
      remaining: 1,
      sessions: expect.stringMatching(/^pid \d+ \(shop .*, role app_test_\w+, from unknown, unknown\)$/),
    });
  });

  // PostgreSQL lists a connection for replication among the sessions, too.
  test.each(['with pg_read_all_stats', 'without pg_read_all_stats'])(
    'a connection of the role for replication is not waited for, %s',
    async (right) => {
      const deploy = decodeURIComponent(new URL(database.deployUrl).username);
      if (right.startsWith('without')) await database.query(`revoke pg_read_all_stats from "${deploy}"`);
      await database.query(`alter role ${app} replication`);
      const replicating = new Client({ connectionString: as(app), replication: 'database' } as ClientConfig);
      await replicating.connect();
      sessions.push(replicating);
      await waitForRows(database, 'select from pg_stat_replication where usename = $1', [app]);

      expect(await check({ roles: [app] })).toEqual({ remaining: 0, sessions: '' });
      await open(as(app), 'shop');
      expect(await check({ roles: [app] })).toMatchObject({ remaining: 1 });
    },
  );

  test('a session that can become a role of the application with SET ROLE is found, and one that cannot is not', async () => {
    const member = await open(as(`of_${app}`), 'shop');
    await open(as(`other_${app}`), 'shop');

    expect(await check({ roles: [app] })).toMatchObject({
      remaining: 1,
      sessions: expect.stringContaining(`role of_${app}`),
    });
    await member.query(`set role ${app}`);
    expect(await check({ roles: [app] })).toMatchObject({ remaining: 1 });
    // A superuser, and the deploy role, could become it as well.
    await open(database.url, 'psql');
    await database.query(`grant ${app} to "${decodeURIComponent(new URL(database.deployUrl).username)}"`);
    await open(database.deployUrl, 'by hand');
    expect(await check({ roles: [app] })).toMatchObject({ remaining: 1 });
  });
});
