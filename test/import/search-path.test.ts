import { describe, expect, test } from 'vitest';
import { importDatabase } from '../../lib/import/import-database.ts';
import { importSources } from '../../lib/import/import-sources.ts';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

async function imported(texts: string | string[], searchPath?: string[]): Promise<Record<string, string>> {
  const files = [texts].flat().map((text, at) => ({ file: `${at}.sql`, text, hasLines: true }));
  const { entries, notTaken } = await importSources({ files, skipped: [] }, searchPath);
  expect(notTaken).toEqual([]);
  return Object.fromEntries(entries.map(({ name, sql }) => [name, sql.replace(/^.* on /s, '')]));
}

const TABLES = 'create table users (id int); create index idx_users on users (id);';

describe('a table without a schema', () => {
  test('is in public by default, and its entry names no schema', async () => {
    expect(await imported(TABLES)).toEqual({ idx_users: 'users (id)' });
  });

  test('is in the first schema of --search-path, and its entry names no schema', async () => {
    expect(await imported(TABLES, ['$user', 'app', 'public'])).toEqual({ idx_users: 'users (id)' });
    expect(await imported('create index idx_users on app.users (id)', ['app'])).toEqual({
      idx_users: 'users (id)',
    });
  });

  test('is in the schema that a migration made it in, and entries of other schemas name theirs', async () => {
    const sql = `create table public.countries (id int); create table users (id int);
      create index idx_countries on countries (id); create index idx_users on users (id);`;

    expect(await imported(sql, ['app', 'public'])).toEqual({
      idx_countries: 'public.countries (id)',
      idx_users: 'users (id)',
    });
  });

  test.each([
    ['SET', 'set search_path = tenant, public;'],
    ['SET TO a text', "set search_path to 'tenant, public';"],
    ['SET LOCAL', 'begin; set local search_path = tenant;'],
    ['set_config', "select set_config('search_path', 'tenant, public', false);"],
    ['set_config of a transaction', "select pg_catalog.set_config('search_path', 'tenant', true);"],
    ['a quoted name', 'set search_path = "tenant";'],
  ])('is in the schema of %s', async (_name, statement) => {
    for (const path of [undefined, ['app']]) {
      expect(await imported(`create schema tenant; ${statement} ${TABLES}`, path)).toEqual({
        idx_users: 'tenant.users (id)',
      });
    }
  });

  test.each([
    ['RESET', 'set search_path = tenant; reset search_path;'],
    ['RESET ALL', 'set search_path = tenant; reset all;'],
    ['DISCARD ALL', 'set search_path = tenant; discard all;'],
    ['TO DEFAULT', 'set search_path = tenant; set search_path to default;'],
    ['the end of the transaction of SET LOCAL', 'begin; set local search_path = tenant; commit;'],
  ])('is in the configured schema again after %s', async (_name, statement) => {
    expect(await imported(`${statement} ${TABLES}`, ['app'])).toEqual({ idx_users: 'users (id)' });
  });

  test('is in the configured schema again in the next file', async () => {
    expect(await imported(['set search_path = tenant; create table t (id int)', TABLES], ['app'])).toEqual({
      idx_users: 'users (id)',
    });
  });

  test('is written with its schema if the path does not contain that', async () => {
    const sql =
      'create table public.countries (id int); create index idx_countries on public.countries (id);';

    expect(await imported(sql, ['app'])).toEqual({ idx_countries: 'public.countries (id)' });
    expect(await imported(sql)).toEqual({ idx_countries: 'countries (id)' });
  });

  test('is altered, dropped and attached where it is found', async () => {
    const sql = `create table public.users (id int, old int); create index idx_old on users (old);
      create index idx_id on users (id); alter table users drop column old;
      create table public.gone (id int); create index idx_gone on gone (id); drop table gone;
      create table public.sales (at int) partition by range (at); create index idx_at on sales (at);
      create table sales_1 partition of sales default;`;

    expect(await imported(sql, ['app', 'public'])).toEqual({
      idx_id: 'public.users (id)',
      idx_at: 'public.sales (at)',
    });
  });
});

onEachMajor('the indexes of a database', (major) => {
  let database: TestDatabase;
  useDatabase(
    major,
    `create schema app; create table app.users (id int); create index idx_users on app.users (id);
     create table public.countries (id int); create index idx_countries on public.countries (id);`,
    (opened) => {
      database = opened;
    },
  );
  const read = async (path?: string[]) => {
    const { entries } = await importDatabase(database.deployUrl, path);
    return Object.fromEntries(entries.map(({ name, sql }) => [name, sql.replace(/^.* on /s, '')]));
  };
  const PUBLIC = { idx_countries: 'countries USING btree (id)', idx_users: 'app.users USING btree (id)' };
  const APP = { idx_countries: 'public.countries USING btree (id)', idx_users: 'users USING btree (id)' };

  test('name the schema of public if the path does not contain it', async () => {
    expect(await read(['app'])).toEqual(APP);
    // No schema of the path exists: a table that is created there later must not get the index.
    expect(await read(['nothing'])).toEqual({ ...APP, ...PUBLIC, idx_countries: APP.idx_countries });
  });

  test('name every schema if the role that reads has a schema of its own, because other roles have others', async () => {
    const role = new URL(database.deployUrl).username;
    await database.query(
      `create schema ${role}; create table ${role}.notes (id int); create index idx_notes on ${role}.notes (id);`,
    );
    const notes = { idx_notes: `${role}.notes USING btree (id)` };

    expect(await read(['$user', 'public'])).toEqual({
      ...notes,
      ...PUBLIC,
      idx_countries: APP.idx_countries,
    });
    expect(await read(['public', '$user'])).toEqual({ ...notes, ...PUBLIC });
    await database.query(`drop schema ${role} cascade`);
  });

  test('name the schemas that the search path does not find first', async () => {
    expect(await read()).toEqual(PUBLIC);
    expect(await read(['nothing', 'app', 'public'])).toEqual(APP);
    await database.query(
      `alter role ${new URL(database.deployUrl).username} in database ${database.name} set search_path = app, public`,
    );
    expect(await read()).toEqual(APP);
    expect(await read(['public'])).toEqual(PUBLIC);
  });
});
