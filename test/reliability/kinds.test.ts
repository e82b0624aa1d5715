import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { MAJORS } from '../support/servers.ts';

const LONGEST = `${'ü'.repeat(31)}x`;

const TABLES = `
  create schema "My Shop";
  create table "My Shop"."Order Lines" ("Order Id" int, "a.b" text, "say ""hi""" text);
  create table people (
    id int, email text, code varchar(20), age int, created timestamptz, tags text[], facts jsonb, at point, net inet);
  create materialized view ages as select n as id, n % 90 as age, 'A ' || n as label from generate_series(1, 200) n;
  insert into people select n, 'P' || n || '@x.example', 'c' || n, n % 90, now(), array['t' || n % 5],
                            jsonb_build_object('k', n), point(n, n), '10.0.0.0'::inet + n
                       from generate_series(1, 1000) n;
  insert into "My Shop"."Order Lines" select n, 'x' || n, 'y' from generate_series(1, 300) n`;

/** The names, and the statement after the name. A text that begins with "unique " is a unique index. */
const KINDS: Record<string, string> = {
  k_plain: 'on people (age)',
  k_unique: 'unique on people (email)',
  k_partial: "on people (created) where age in (1, 2, 3) and code <> 'x'",
  k_expression: 'on people (lower(email), age)',
  k_include: 'on people (age) include (email, code)',
  k_desc: 'on people (created desc nulls last, id asc nulls first)',
  k_opclass: 'on people (code varchar_pattern_ops)',
  k_collation: 'on people (email collate "C")',
  k_gin: 'on people using gin (tags)',
  k_gin_path: 'on people using gin (facts jsonb_path_ops) with (fastupdate = off)',
  k_gist: 'on people using gist (at)',
  k_spgist: 'on people using spgist (net)',
  k_brin: 'on people using brin (id, created) with (pages_per_range = 16)',
  k_hash: 'on people using hash (email)',
  k_fillfactor: 'on people (id) with (fillfactor = 70)',
  k_view: 'unique on ages (id)',
  k_view_expression: 'on ages (lower(label)) where age > 10',
  'By Id': 'on "My Shop"."Order Lines" ("Order Id")',
  'dots.and "quotes"': 'on "My Shop"."Order Lines" ("a.b", "say ""hi""")',
  'lines @ lines': 'on "My Shop"."Order Lines" ("a.b" desc)',
  'x USING btree (y)': 'on "My Shop"."Order Lines" ("say ""hi""")',
  [LONGEST]: 'on people (code, age)',
  "it's; -- one": 'on people (age, code)',
};

function entryOf(name: string, text: string): IndexEntry {
  const unique = text.startsWith('unique ') ? 'unique ' : '';
  return {
    name,
    sql: `create ${unique}index concurrently if not exists "${name.replaceAll('"', '""')}" ${text.slice(unique.length)}`,
    description: `an index of every kind: ${name}`,
  };
}

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const kinds: Record<string, string> = {
    ...KINDS,
    k_nulls_not_distinct: 'unique on people (code) nulls not distinct',
  };
  const entries = Object.entries(kinds).map(([name, text]) => entryOf(name, text));
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, { tables: TABLES, indexes: entries });
  });
  afterAll(async () => {
    await instance.close();
  });

  test('one deploy builds indexes of all kinds and names, and the next one finds them present', async () => {
    const refused = major < 15 ? ['k_nulls_not_distinct'] : [];

    const first = await instance.build();

    expect(first.report.indexes).toHaveLength(entries.length);
    for (const index of first.report.indexes) {
      expect(index).toMatchObject(
        refused.includes(index.name)
          ? { status: 'failed', attempts: 1, error: { sqlstate: '42601' } }
          : { status: 'built', attempts: 1, error: null },
      );
    }
    await instance.expectNoLeftovers();
    const second = await instance.build();
    for (const index of second.report.indexes) {
      expect(index).toMatchObject(
        refused.includes(index.name)
          ? { status: 'failed', attempts: 1, error: { sqlstate: '42601' } }
          : { status: 'present', attempts: 0, error: null },
      );
    }
    await instance.expectNoLeftovers();
  });

  test('an expression has statistics after the build of its index', async () => {
    const stats = await instance.database.query(
      `select tablename::text, attname::text from pg_stats
        where tablename in ('k_expression', 'k_view_expression') order by 1, 2`,
    );

    expect(stats).toEqual([
      { tablename: 'k_expression', attname: 'lower' },
      { tablename: 'k_view_expression', attname: 'lower' },
    ]);
  });
});
