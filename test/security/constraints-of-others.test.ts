import { describe, expect, test } from 'vitest';
import { type AttackedDatabase, useAttackedDatabase } from '../support/attacked-database.ts';
import type { Attacker } from '../support/attacker.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS } from '../support/servers.ts';

/*
 * The role that owns a table writes its CHECK constraints, defaults, triggers and policies. Where PostgreSQL has to prove that a column
 * contains no NULL, it evaluates the CHECK constraints with the rights of the role that adds a primary key.
 */

const UNIQUE = {
  name: 'wanted',
  sql: 'create unique index concurrently if not exists wanted on trap.items (id)',
  constraint: { name: 'items_key', type: 'unique' as const },
};
const PRIMARY_KEY = { ...UNIQUE, constraint: { name: 'items_key', type: 'primary key' as const } };

/** Code of the owner wherever a table can have some. */
const TABLE = `
  create domain trap.word as text check (trap.holds(value));
  create table trap.items (
    id int not null, word trap.word default trap.spring('x'), twice text generated always as (trap.spring('x')) stored,
    constraint items_hold check (trap.holds('x') and id is not null));
  create trigger fires after insert on trap.items for each row execute function trap.fire();
  create policy held on trap.items using (trap.holds('x'));
  create index own on trap.items ((trap.spring('x'))) where trap.holds('x');
  create statistics trap.kept on (trap.spring('x')), id from trap.items`;

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let attacker: Attacker;
  let urlOf: AttackedDatabase['urlOf'];

  useAttackedDatabase(major, async (attacked) => {
    ({ database, attacker, urlOf } = attacked);
    await attacker.run(TABLE);
    await database.query(`grant ${attacker.role} to ${attacked.deployRole}`);
  });

  describe.each(['superuser', 'least privilege'] as const)('as %s', (role) => {
    test.each([
      ['a unique constraint', UNIQUE],
      ['a primary key', PRIMARY_KEY],
    ])('to add %s to the table of another role runs nothing of that role', async (_what, entry) => {
      const builds = await openBuilds(urlOf(role), [entry]);

      expect(await builds.deploy('one')).toMatchObject({ wanted: { status: 'built', error: null } });

      expect((await attacker.traces()).other).toBe(false);
      expect(await database.query("select contype from pg_constraint where conname = 'items_key'")).toEqual([
        { contype: entry === UNIQUE ? 'u' : 'p' },
      ]);
    });

    test('a primary key is refused where PostgreSQL would evaluate the CHECK constraints of the owner', async () => {
      await attacker.run('alter table trap.items alter column id drop not null');
      const builds = await openBuilds(urlOf(role), [PRIMARY_KEY]);

      expect(await builds.deploy('one')).toMatchObject({
        wanted: { status: 'failed', attempts: 0, error: { sqlstate: '23502' } },
      });

      expect((await attacker.traces()).other).toBe(false);
    });

    test('and where the owner allows NULL after the plan', async () => {
      await attacker.run('create unique index wanted on trap.items (id)');
      const builds = await openBuilds(urlOf(role), [PRIMARY_KEY]);

      const report = await builds.deploy('one', async ({ decision }) => {
        if (decision === 'build') await attacker.run('alter table trap.items alter column id drop not null');
      });

      expect(report).toMatchObject({ wanted: { status: 'failed', error: { sqlstate: '23502' } } });
      expect((await attacker.traces()).other).toBe(false);
    });
  });

  test('the CHECK constraints would run with the rights of the role that adds the primary key', async () => {
    await attacker.run(
      'alter table trap.items alter column id drop not null; create unique index wanted on trap.items (id)',
    );

    await database.query('alter table trap.items add constraint items_key primary key using index wanted');

    expect((await attacker.traces()).other).toBe(true);
  });
});
