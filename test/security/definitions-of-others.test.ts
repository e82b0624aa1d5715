import { describe, expect, test } from 'vitest';
import { importDatabase } from '../../lib/import/import-database.ts';
import { type AttackedDatabase, useAttackedDatabase } from '../support/attacked-database.ts';
import type { Attacker } from '../support/attacker.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { MAJORS } from '../support/servers.ts';

/*
 * The role that owns a table decides what runs when one of its indexes is built or compared: functions in expressions and
 * predicates, casts, operators, the constraints of domains. All of it must run as that role, never as the deploy role.
 */

/** What a definition runs, and the definition. */
const CALLS: [what: string, definition: string][] = [
  ['a function in an expression', "(trap.spring('x'), id)"],
  ['a function in a predicate', "(id) where name = trap.spring('x')"],
  ['a cast', "(id) where name = ('low'::trap.level)::text"],
  ['an operator', "(id) where 'a'::text operator(trap.===) 'b'::text"],
  ['a default argument', '(id) where trap.defaulted()'],
  ['a function in INCLUDE of a partial index', "(id) include (name) where trap.holds('x')"],
];

/** Definitions whose literals run the constraint of a domain while the statement is read, before the server changes the role. */
const LITERALS: [what: string, definition: string][] = [
  ['an array of a domain', "(id) where words = '{x}'"],
  ['an array of a domain, with a cast', "(id) where words = '{x}'::trap.word[]"],
  ['a composite type with a domain', "(id) where pair = '(x)'::trap.pair"],
  ['a range of a domain', "(id) where span = '[a,b]'"],
  ['a domain over an array of a domain', "(id) where list = '{x}'::trap.list"],
];

const OBJECTS = `
  create domain trap.word as text check (trap.holds(value));
  create type trap.pair as (word trap.word);
  create type trap.span as range (subtype = trap.word);
  create domain trap.list as trap.word[];
  create type trap.level as enum ('low', 'high');
  create function trap.level_text(trap.level) returns text language plpgsql immutable as
    $$ begin perform trap.act(); return 'low'; end $$;
  create cast (trap.level as text) with function trap.level_text(trap.level) as assignment;
  create function trap.same(text, text) returns boolean language plpgsql immutable as
    $$ begin perform trap.act(); return true; end $$;
  create operator trap.=== (leftarg = text, rightarg = text, function = trap.same);
  create function trap.defaulted(text default trap.spring('x')) returns boolean language plpgsql immutable as
    $$ begin perform trap.act(); return true; end $$;
  create table trap.items (id int, name text, words trap.word[], pair trap.pair, span trap.span, list trap.list);
  create index existing on trap.items (id)`;

/** The server normalizes only definitions that an existing index can have: each of CALLS can be one of these. */
const SIMILAR = `
  create index with_expression on trap.items (lower(name), id);
  create index partial on trap.items (id) where id > 0;
  create index partial_with_name on trap.items (id) include (name) where id > 0`;

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let attacker: Attacker;
  let deployRole: string;
  let urlOf: AttackedDatabase['urlOf'];

  useAttackedDatabase(major, async (attacked) => {
    ({ database, attacker, deployRole, urlOf } = attacked);
    await attacker.run(OBJECTS);
    await database.query(`grant ${attacker.role} to ${deployRole}`);
  });

  const entryOf = (definition: string, name = 'wanted') => ({
    name,
    sql: `create index concurrently if not exists ${name} on trap.items ${definition}`,
  });

  describe.each(['superuser', 'least privilege'] as const)('as %s', (role) => {
    test.each(CALLS)(
      'comparing a definition runs %s as the owner of the table',
      async (_what, definition) => {
        await attacker.run(SIMILAR);
        const { preflight } = await openPreflight(urlOf(role), [entryOf(definition)]);
        const builds = await openBuilds(urlOf(role), [entryOf(definition)]);

        await preflight({ mode: 'plan' });
        await preflight({ mode: 'indexes' });
        await preflight({ mode: 'deploy' });
        const { wanted } = await builds.examine();

        expect(wanted?.state).toBe('missing');
        expect(await attacker.traces()).toEqual({ attacker: true, other: false });
      },
    );

    test('a build runs all of it as the owner of the table', async () => {
      await database.query("insert into trap.items select n, 'n' || n from generate_series(1, 20) n");
      const entries = CALLS.map(([, definition], position) => entryOf(definition, `wanted_${position}`));
      const builds = await openBuilds(urlOf(role), entries);

      const report = await builds.deploy('first');
      const again = await builds.deploy('second');

      expect(Object.values(report).map(({ status, error }) => error?.message ?? status)).toEqual(
        entries.map(() => 'built'),
      );
      expect(Object.values(again).map(({ status }) => status)).toEqual(entries.map(() => 'present'));
      expect(await attacker.traces()).toEqual({ attacker: true, other: false });
    });

    test.each(LITERALS)(
      'an index with a literal of %s is neither compared nor built',
      async (_what, definition) => {
        const entry = { ...entryOf(definition), critical: true };
        const { preflight } = await openPreflight(urlOf(role), [entry]);
        const builds = await openBuilds(urlOf(role), [entry]);

        const { refusal } = await preflight({ mode: 'deploy' });
        const { wanted } = await builds.deploy('first');
        // The owner of the table can change it after the plan.
        const build = builds.build('second', 'trap.wanted');

        expect(refusal).toContain(wanted?.error?.message);
        expect(wanted).toMatchObject({ status: 'failed', attempts: 0, error: { sqlstate: '42501' } });
        expect(wanted?.error?.message).toContain(`the type trap.word of "${attacker.role}"`);
        await expect(build).rejects.toMatchObject({ name: 'BuildFailed', sqlstate: '42501' });
        expect(await attacker.traces()).toEqual({ attacker: false, other: false });
      },
    );

    test('a literal that no domain checks is compared and built', async () => {
      await attacker.run(
        'create table trap.tagged (tags text[], words trap.word[]); create index tagged_old on trap.tagged (tags)',
      );
      const builds = await openBuilds(urlOf(role), [
        {
          name: 'tagged_now',
          sql: "create index concurrently if not exists tagged_now on trap.tagged (tags) where tags[1] = 'x'",
        },
      ]);

      expect((await builds.deploy('first')).tagged_now).toMatchObject({ status: 'built', error: null });
    });

    test('the index of a partition is attached without running its functions as the deploy role', async () => {
      await attacker.run(
        `create table trap.parted (id int, name text) partition by list (id);
         create table trap.parted_1 partition of trap.parted for values in (1);
         create table trap.parted_2 partition of trap.parted for values in (2) partition by list (name);
         create table trap.parted_3 partition of trap.parted_2 default`,
      );
      const builds = await openBuilds(urlOf(role), [
        {
          name: 'parted_name',
          sql: "create index concurrently if not exists parted_name on trap.parted (name) where name <> trap.spring('x')",
        },
      ]);

      const report = await builds.deploy('first');

      expect(report.parted_name).toMatchObject({ status: 'built', error: null });
      expect(await attacker.traces()).toEqual({ attacker: true, other: false });
      expect((await builds.deploy('second')).parted_name).toMatchObject({ status: 'present' });
      expect(
        await database.query(
          "select proname from pg_proc where pronamespace = pg_my_temp_schema() or proname like 'pg_deploy_step%'",
        ),
      ).toEqual([]);
    });

    test.each([
      ['a function', "(id) where name = trap.spring('x')", 'the function trap.spring(pg_catalog.text)'],
      [
        'an operator',
        '(id) where name operator(trap.===) name',
        'the operator trap.===(pg_catalog.text,pg_catalog.text)',
      ],
      [
        'an operator, called by a keyword,',
        "(id) where code in ('a', 'b')",
        'the operator public.=(character varying,pg_catalog.text)',
      ],
    ])(
      'an index with %s of the attacker on a table of the deploy role is neither compared nor built',
      async (_what, definition, object) => {
        await database.query(
          `create table public.own (id int, name text, code varchar); create index own_id on public.own (id); alter table public.own owner to ${role === 'superuser' ? 'postgres' : deployRole};
         grant usage, create on schema public to ${deployRole}`,
        );
        await attacker.run(
          `create function trap.same(varchar, text) returns boolean language plpgsql immutable as
             $$ begin perform trap.act(); return true; end $$;
           create operator public.= (leftarg = varchar, rightarg = text, function = trap.same)`,
        );
        const entry = {
          name: 'own_name',
          sql: `create index concurrently if not exists own_name on public.own ${definition}`,
        };
        const builds = await openBuilds(urlOf(role), [entry]);

        const { own_name } = await builds.deploy('first');

        expect(own_name).toMatchObject({ status: 'failed', attempts: 0, error: { sqlstate: '42501' } });
        expect(own_name?.error?.message).toContain(`${object} of "${attacker.role}"`);
        expect(await attacker.traces()).toEqual({ attacker: false, other: false });
      },
    );
  });

  test('functions and operators outside the search path, with the names that a definition uses, stop no index', async () => {
    await attacker.run(
      `create function trap.lower(text) returns text language plpgsql immutable as
         $$ begin perform trap.act(); return $1; end $$;
       create operator trap.> (leftarg = text, rightarg = text, function = trap.same)`,
    );
    await database.query(
      `create table public.own (id int, name text); alter table public.own owner to ${deployRole};
       grant usage, create on schema public to ${deployRole}`,
    );
    const entry = {
      name: 'own_name',
      sql: "create index concurrently if not exists own_name on public.own (lower(name)) where name > 'a'",
    };
    const builds = await openBuilds(urlOf('least privilege'), [entry]);

    expect((await builds.deploy('first')).own_name).toMatchObject({ status: 'built', error: null });
    expect((await builds.deploy('second')).own_name).toMatchObject({ status: 'present' });
    expect(await attacker.traces()).toEqual({ attacker: false, other: false });
  });

  test('drifted, equivalent and present indexes of another owner are found', async () => {
    await attacker.run(
      `create index same on trap.items (name) where id in (1, 2); create index other on trap.items (lower(name));
       create index drifted on trap.items (id desc)`,
    );
    const entries = [
      {
        name: 'same',
        sql: 'create index concurrently if not exists same on trap.items (name) where id in (1, 2)',
      },
      { name: 'equal', sql: 'create index concurrently if not exists equal on trap.items (lower(name))' },
      { name: 'drifted', sql: 'create index concurrently if not exists drifted on trap.items (id asc)' },
      { name: 'nothing', sql: 'create index concurrently if not exists nothing on trap.items (nothing)' },
    ];
    for (const role of ['superuser', 'least privilege'] as const) {
      const examined = await (await openBuilds(urlOf(role), entries)).examine();
      expect(Object.values(examined).map(({ state, notCompared }) => ({ state, notCompared }))).toEqual(
        ['present', 'equivalent', 'drifted', 'missing'].map((state) => ({ state, notCompared: null })),
      );
    }
  });

  test('importing the indexes of another owner, and planning with them, runs nothing as the deploy role', async () => {
    await attacker.run(
      `create index imported on trap.items (id, trap.spring('x')) where trap.holds('x') and words <> '{}'::trap.word[];
       create index imported_literal on trap.items (id) where words = '{x}'::trap.word[]`,
    );
    for (const role of ['superuser', 'least privilege'] as const) {
      const { entries } = await importDatabase(urlOf(role));
      const names = entries.map(({ name }) => name);
      const { preflight } = await openPreflight(
        urlOf(role),
        entries.map(({ name = '', sql }) => ({ name, sql })),
      );
      const builds = await openBuilds(
        urlOf(role),
        entries.map((entry) => ({ ...entry, name: entry.name ?? '' })),
      );

      await preflight({ mode: 'plan' });
      await preflight({ mode: 'deploy' });
      const examined = await builds.examine();

      expect(names).toEqual(['existing', 'imported', 'imported_literal']);
      expect(Object.values(examined).map(({ state }) => state)).toEqual(['present', 'present', 'present']);
      expect((await attacker.traces()).other).toBe(false);
    }
  });

  test('without TEMPORARY for the owner only names are compared, and the warning has the statement that grants it', async () => {
    await database.query(`revoke temporary on database ${database.name} from public, ${attacker.role}`);
    await attacker.run("create index wanted on trap.items (id) where name = 'y'");
    const builds = await openBuilds(urlOf('superuser'), [entryOf("(id) where name = trap.spring('x')")]);

    const before = (await builds.examine()).wanted;
    await database.query(before?.notCompared?.split('and run: ')[1] ?? '');
    const after = (await builds.examine()).wanted;

    expect(before?.state).toBe('present');
    expect(before?.notCompared).toBe(
      `The indexes of trap.items are not compared with the registry, only their names: "${attacker.role}", the owner of the table, ` +
        `may not create temporary tables. Connect as a superuser and run: GRANT TEMPORARY ON DATABASE "${database.name}" TO "${attacker.role}";`,
    );
    expect(after).toMatchObject({ state: 'drifted', notCompared: null });
    expect((await attacker.traces()).other).toBe(false);
  });

  test('a deploy role that cannot act as the owner compares only names', async () => {
    await database.query(
      `revoke ${attacker.role} from ${deployRole}; grant select on trap.items to ${deployRole}`,
    );
    await attacker.run("create index wanted on trap.items (id) where name = 'y'");
    const builds = await openBuilds(urlOf('least privilege'), [
      entryOf("(id) where name = trap.spring('x')"),
    ]);

    const before = (await builds.examine()).wanted;
    await database.query(before?.notCompared?.split('and run: ')[1] ?? '');

    expect(before).toMatchObject({
      state: 'present',
      notCompared: expect.stringContaining(`cannot act as "${attacker.role}"`),
    });
    expect((await builds.examine()).wanted).toMatchObject({ state: 'drifted', notCompared: null });
  });
});
