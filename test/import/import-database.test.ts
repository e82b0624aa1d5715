import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importDatabase } from '../../lib/import/import-database.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const SCHEMA = `
  create schema shop;
  create table shop."Orders" (id bigint primary key, note text, total numeric, unique (note));
  create index orders_note_lower on shop."Orders" (lower(note)) where total > 0;
  comment on index shop.orders_note_lower is 'Search for a word in a note';
  create unique index "Orders_total" on shop."Orders" (total desc nulls last) include (note);
  create table calls (id bigint, at date) partition by range (at);
  create table calls_2024 partition of calls for values from ('2024-01-01') to ('2025-01-01');
  create index idx_calls_at on calls (at);
  create schema deploy_step;
  create table deploy_step.index_builds (item text);
  create index of_the_ledger on deploy_step.index_builds (item);
  create table twice (a int);
  insert into twice values (1), (1)`;

describe.each(MAJORS)('the import of a live PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;

  beforeAll(async () => {
    database = await server.createDatabase();
    await database.query(SCHEMA);
    await database.query('create unique index concurrently idx_twice on twice (a)').catch(() => undefined);
  });

  afterAll(async () => {
    await database.drop();
  });

  test('has every index except those of constraints and partitions, and reports the invalid one', async () => {
    const { entries, notTaken, constraints, parts } = await importDatabase(database.url);

    expect(entries.map(({ name, critical, description }) => ({ name, critical, description }))).toEqual([
      {
        name: 'idx_calls_at',
        critical: undefined,
        description: 'Imported from the live database. Describe what uses this index.',
      },
      {
        name: 'Orders_total',
        critical: true,
        description: 'Imported from the live database. Describe what uses this index.',
      },
      { name: 'orders_note_lower', critical: undefined, description: 'Search for a word in a note' },
    ]);
    expect(notTaken).toEqual([
      {
        file: 'the database',
        line: null,
        what: 'index public.idx_twice on twice',
        reason:
          'it is invalid because its build failed; rebuild it with REINDEX INDEX CONCURRENTLY, or drop it',
      },
    ]);
    expect({ constraints, parts }).toEqual({ constraints: 2, parts: 1 });
  });

  test('needs no privilege on any table', async () => {
    const role = `reader_${database.name}`;
    await database.query(`create role ${role} login password 'secret'`);
    try {
      const url = new URL(database.url);
      url.username = role;
      url.password = 'secret';
      const names = (await importDatabase(url.href)).entries.map((entry) => entry.name);
      expect(names).toEqual(['idx_calls_at', 'Orders_total', 'orders_note_lower']);
    } finally {
      await database.query(`drop role ${role}`);
    }
  });
});
