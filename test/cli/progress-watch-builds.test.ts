import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type BuildRow, type BuildWatch, watchBuilds } from '../../lib/local/watch-builds.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';

let database: TestDatabase;
let holder: Client;
let watch: BuildWatch;

beforeAll(async () => {
  database = await createDatabase();
  await database.query('create schema crm');
  await database.query('create table crm.deals as select n from generate_series(1, 300000) n');
  holder = await connect(database.url);
});

// A failed test must not leave a lock or a session to the next one.
afterEach(async () => {
  await watch.close();
  await holder.query('rollback');
  await holder.query('select pg_advisory_unlock_all()');
});

afterAll(async () => {
  await holder.end();
  await database.drop();
});

/** Reads until the only build is in a phase and its index is in the catalog, which the query reads before the phase. */
async function at(phase: string, read: () => Promise<BuildRow[]>): Promise<BuildRow> {
  let rows: BuildRow[] = [];
  await eventually(async () => {
    rows = await read();
    return rows[0]?.index === null ? null : rows[0]?.phase;
  }).toBe(phase);
  const [row] = rows;
  if (row === undefined) throw new Error('no build is running');
  return row;
}

describe('watchBuilds', () => {
  test('reads schema, table, index and phase of a build, and the session that it waits for', async () => {
    watch = watchBuilds(database.url);
    await holder.query('begin');
    await holder.query('insert into crm.deals values (0)');
    const build = database.query('create index concurrently idx_deals_n on crm.deals (n)');
    const row = await at('waiting for writers before build', () => watch.read());
    expect(row).toMatchObject({ schema: 'crm', table: 'deals', index: 'idx_deals_n', fraction: null });
    expect(row.waitsFor).toMatch(/^pid \d+ \(test, idle in transaction, transaction open for \d+ s\)$/);
    await holder.query('commit');
    await build;
    expect(await watch.read()).toEqual([]);
  });

  test('reads the progress of the table scan', async () => {
    // The scan stops in the middle of the table until the holder releases the advisory lock.
    await holder.query('select pg_advisory_lock(7)');
    await database.query(`
      create function crm.held(n int) returns int immutable language plpgsql as $$
        begin
          if n = 150000 then perform pg_advisory_xact_lock_shared(7); end if;
          return n;
        end $$`);
    watch = watchBuilds(database.url);
    const builder = await connect(database.url);
    // A scan could also begin in the middle of the table, where another scan is, and reach the held row at its end.
    await builder.query('set synchronize_seqscans = off');
    const build = builder.query('create index concurrently idx_deals_held on crm.deals (crm.held(n))');
    const row = await at('building index: scanning table', () => watch.read());
    expect(row.index).toBe('idx_deals_held');
    await eventually(async () => (await watch.read())[0]?.fraction).toBeGreaterThan(0.1);
    expect((await watch.read())[0]?.fraction).toBeLessThan(1);
    await holder.query('select pg_advisory_unlock(7)');
    await build;
    await builder.end();
  });

  test('uses one session with an application_name, which ends with close()', async () => {
    const sessions = () =>
      database.query(
        "select 1 from pg_stat_activity where datname = current_database() and application_name = 'pg-deploy-step progress'",
      );
    watch = watchBuilds(database.url);
    await watch.read();
    expect(await sessions()).toHaveLength(1);
    await watch.close();
    await eventually(sessions).toHaveLength(0);
    expect(await watch.read()).toEqual([]);
    expect(await sessions()).toHaveLength(0);
  });

  test('connects again after it lost its connection', async () => {
    watch = watchBuilds(database.url);
    await holder.query('begin');
    await holder.query('insert into crm.deals values (0)');
    const build = database.query('create index concurrently idx_deals_again on crm.deals (n desc)');
    await at('waiting for writers before build', () => watch.read());
    await database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'pg-deploy-step progress'",
    );
    const row = await at('waiting for writers before build', () => watch.read());
    expect(row.index).toBe('idx_deals_again');
    await holder.query('commit');
    await build;
  });

  test('reads nothing when no server answers', async () => {
    watch = watchBuilds('postgres://postgres@127.0.0.1:1/none');
    expect(await watch.read()).toEqual([]);
    expect(await watch.read()).toEqual([]);
  });
});
