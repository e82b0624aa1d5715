import { expect, test } from 'vitest';
import type { TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

onEachMajor('what a role can see', (major) => {
  let database: TestDatabase;
  let role: string;

  useDatabase(major, 'create table orders (id int)', (opened) => {
    database = opened;
    role = decodeURIComponent(new URL(opened.deployUrl).username);
  });

  const preflight = async (drainRoles: string[] = []) => {
    const opened = await openPreflight({ DATABASE_URL: database.deployUrl, DRAIN_ROLES: drainRoles }, [
      { name: 'orders_id', sql: 'create index concurrently if not exists orders_id on orders (id)' },
    ]);
    return await opened.preflight();
  };

  test('a role without pg_read_all_stats deploys', async () => {
    await database.query(`revoke pg_read_all_stats from "${role}"`);

    expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
  });

  test.each([
    ['select on pg_stat_activity', 'SELECT ON pg_stat_activity'],
    ['select on pg_locks', 'SELECT ON pg_locks'],
    [
      'execute on function pg_stat_get_activity(integer)',
      'EXECUTE ON FUNCTION pg_stat_get_activity(integer)',
    ],
    ['execute on function pg_lock_status()', 'EXECUTE ON FUNCTION pg_lock_status()'],
    ['execute on function pg_blocking_pids(integer)', 'EXECUTE ON FUNCTION pg_blocking_pids(integer)'],
  ])('a role is refused if someone has revoked %s, with the GRANT', async (privilege, shown) => {
    await database.query(`revoke ${privilege} from public`);

    const { decision, refusal } = await preflight();

    expect({ decision, refusal }).toEqual({
      decision: 'refused',
      refusal: `The role ${role} cannot see the sessions and locks of other roles. Connect to this database as a superuser and run: GRANT ${shown} TO "${role}";`,
    });
    await database.query(refusal?.split('run: ')[1] ?? '');
    expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
  });

  test('a role of drain that does not exist is a warning', async () => {
    const { decision, warnings } = await preflight([role, 'App', 'b"']);

    expect(decision).toBe('deploy');
    expect(warnings).toEqual([
      'drain.roles names "App", "b\\"", but the server has no such role, so the deploy waits for none of its sessions. Correct the name, which is case-sensitive, or remove it.',
    ]);
  });
});
