import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import type { Examined } from '../../lambdas/postgres/examined-index.ts';
import { examine } from '../../lambdas/postgres/index-state.ts';
import { resolveRegistry } from '../../lambdas/postgres/resolve-registry.ts';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { countingDatabase } from '../support/counting-database.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

/*
 * One query reads the definitions of all tables, and one statement normalizes those of all entries of an owner. What is wrong
 * with one table must not concern the others.
 */

interface Entry {
  readonly name: string;
  readonly table: string;
  readonly definition: string;
  readonly onDrift?: 'rebuild';
}

/** @param before waited for before each query is sent */
async function examineAll(
  url: string,
  entries: readonly Entry[],
  before?: (text: string) => Promise<void>,
): Promise<{ examined: Record<string, Examined>; sent: string[] }> {
  const registry = await compileRegistry(
    entries.map(({ name, table, definition, ...more }) => ({
      ...{ name, description: 'of a test', ...more },
      sql: `create index concurrently if not exists ${name} on ${table} ${definition}`,
    })),
    'the test',
  );
  const { database, take } = countingDatabase(databaseOf({ DATABASE_URL: url }), before);
  const all = await withClient(
    database,
    'test',
    async (client) => await examine(client, await resolveRegistry(client, registry)),
  );
  return { examined: Object.fromEntries(all.map((one) => [one.index.name, one])), sent: take() };
}

const statesOf = (examined: Record<string, Examined>) =>
  Object.fromEntries(Object.entries(examined).map(([name, { state }]) => [name, state]));

onEachMajor('many definitions', (major) => {
  let database: TestDatabase;
  useDatabase(
    major,
    `create type status as enum ('open', 'held');
     create table texts (id int, status text); create table others (id int, status text);
     create table shorts (id int, status varchar(10)); create table enums (id int, status status);
     create table without (id int);
     create index i_texts on texts (id) where status = 'open'; create index i_others on others (id) where status = 'open';
     create index i_shorts on shorts (id) where status = 'open'; create index i_enums on enums (id) where status = 'open';
     create index i_without on without (id) where id > 0`,
    (opened) => {
      database = opened;
    },
  );

  const TABLES = ['texts', 'others', 'shorts', 'enums', 'without'];
  const entriesOf = (definition: string) =>
    TABLES.map((table) => ({ name: `i_${table}`, table, definition }));
  const ALL_PRESENT = { i_texts: 'present', i_others: 'present', i_shorts: 'present', i_enums: 'present' };

  test('the same text on tables whose columns have other types has another normalized form', async () => {
    const { examined } = await examineAll(database.deployUrl, entriesOf("(id) where status in ('open')"));

    expect(statesOf(examined)).toEqual({ ...ALL_PRESENT, i_without: 'drifted' });
  });

  test('a definition that names its table is normalized for each table', async () => {
    const entries = TABLES.map((table) => ({
      ...{ name: `i_${table}`, table },
      definition: `(id) where ${table === 'others' ? 'texts' : table}.status = 'open'`,
    }));

    const { examined } = await examineAll(database.deployUrl, entries);

    // The definition for "others" names another table, so the server cannot read it, and the name decides.
    expect(statesOf(examined)).toEqual({ ...ALL_PRESENT, i_without: 'drifted' });
    expect(examined.i_others?.index.definition).toContain('texts.status');
  });

  test('alike tables of another owner are normalized as that owner', async () => {
    const role = `owner_${database.name}`;
    await database.query(
      `create role ${role}; grant ${role} to "${new URL(database.deployUrl).username}"; alter table others owner to ${role}`,
    );

    const { examined, sent } = await examineAll(
      database.deployUrl,
      entriesOf("(id) where status in ('open')"),
    );

    expect(statesOf(examined)).toMatchObject(ALL_PRESENT);
    const messages = sent.filter((text) => text.includes('set local role'));
    expect(messages).toHaveLength(1);
    expect(messages[0]?.match(/set local role/g)).toHaveLength(2);
    await database.query(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`);
  });

  describe('while other sessions change tables', () => {
    const entries = entriesOf("(id) where status in ('open')");
    const isExisting = (text: string) => text.includes('as statement') && !text.includes('as_owner');
    const isCopy = (text: string) => text.includes('as_owner');
    let other: Awaited<ReturnType<typeof connect>>;
    beforeEach(async () => {
      other = await connect(database.url);
    });
    afterEach(async () => {
      await other.end();
    });

    /** Runs a statement once, before the first query that is of a kind. */
    function once(isKind: (text: string) => boolean, sql: string): (text: string) => Promise<void> {
      let isDone = false;
      return async (text) => {
        if (isDone || !isKind(text)) return;
        isDone = true;
        await other.query(sql);
      };
    }

    test('tables that are locked before it begins are left out together, and the others are compared', async () => {
      await other.query('begin; lock table shorts, enums, without in access exclusive mode');

      // The test holds the locks until here, so examining has not waited for them.
      const { examined } = await examineAll(database.deployUrl, entries);

      expect(statesOf(examined)).toEqual({ ...ALL_PRESENT, i_without: 'present' });
      const locked = Object.values(examined).filter((one) => one.locked);
      expect(locked.map(({ index }) => index.table)).toEqual(['shorts', 'enums', 'without']);
    });

    test.each([
      ['the definitions of existing indexes are read', isExisting],
      ['a table is copied', isCopy],
    ] as const)('a table that is locked just before %s is left out', async (_when, isKind) => {
      const lock = once(isKind, 'begin; lock table texts in access exclusive mode');

      const { examined } = await examineAll(database.deployUrl, entries, lock);

      expect(examined.i_texts).toMatchObject({ state: 'present', locked: true });
      expect(statesOf(examined)).toEqual({ ...ALL_PRESENT, i_without: 'drifted' });
    });

    test.each([
      ['the definitions of existing indexes are read', isExisting],
      ['a table is copied', isCopy],
    ] as const)('a table that is dropped just before %s is no error', async (_when, isKind) => {
      const drop = once(isKind, 'drop table texts');

      const { examined } = await examineAll(database.deployUrl, entries, drop);

      expect(statesOf(examined)).toMatchObject({
        ...{ i_others: 'present', i_shorts: 'present', i_enums: 'present', i_without: 'drifted' },
      });
    });

    test('a lock that is released within the timeout is waited for', async () => {
      await other.query('begin; lock table texts in access exclusive mode');
      let reads = 0;
      const release = async (text: string) => {
        // The first read leaves the locked table out, the second one is for it.
        if (isExisting(text) && ++reads === 2) await other.query('commit');
      };

      const { examined } = await examineAll(database.deployUrl, entries, release);

      expect(examined.i_texts).toMatchObject({ state: 'present', locked: false });
    });
  });

  test('definitions on 400 tables, each of its own kind, need no more locks than those of one', async () => {
    const server = await startEmbeddedPostgres({
      major,
      settings: { fsync: 'off', max_connections: '10', max_locks_per_transaction: '10' },
    });
    try {
      const admin = await connect(server.url());
      const numbers = Array.from({ length: 400 }, (_, at) => at);
      for (const at of numbers) {
        await admin.query(
          `create table t_${at} (id int, name varchar(${at + 1})); create index i_${at} on t_${at} (id) where name > 'a'`,
        );
      }
      await admin.end();
      const entries = numbers.map((at) => ({
        ...{ name: `i_${at}`, table: `t_${at}` },
        definition: `(id) where name>'${at % 2 === 0 ? 'a' : 'b'}'`,
      }));

      const { examined } = await examineAll(server.url(), entries);

      const states = Object.groupBy(Object.values(examined), ({ state }) => state);
      expect([states.present?.length, states.drifted?.length]).toEqual([200, 200]);
    } finally {
      await server.stop('immediate');
    }
  });
});
