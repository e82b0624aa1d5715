import { createRequire } from 'node:module';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createDatabase } from '../support/database.ts';

const require = createRequire(import.meta.url);
const bundled = require('../../lib/functions/pg-types.cjs') as typeof pg.types;

/** One value of each type that a function can read, and arrays. */
const VALUES = `
  select true as bool, 1::int2 as int2, 2::int4 as int4, 9007199254740993::int8 as int8, 4::oid as oid, 1.5::float4 as float4,
         1e300::float8 as float8, 12345678901234567890.5 as numeric, 'text' as text, 'name'::name as name, null as none,
         '2026-01-02'::date as date, '2026-01-02 03:04:05.678'::timestamp as timestamp,
         '2026-01-02 03:04:05.678+02'::timestamptz as timestamptz, 'infinity'::timestamptz as infinity,
         '{"a": [1]}'::json as json, '{"a": [1]}'::jsonb as jsonb, '\\x00ff'::bytea as bytea, '(1,2)'::point as point,
         '10.0.0.0/8'::cidr as cidr, '5f0c3c5e-8a0c-4a57-9d3e-0d3c3f1b2a10'::uuid as uuid, 'orders'::regtype::text as class,
         array[true, null] as bools, array[1, 2]::int2[] as int2s, array[1, null] as int4s, array[9007199254740993] as int8s,
         array[4]::oid[] as oids, array[1.5]::float8[] as float8s, array[1.5] as numerics, array['a,b', 'c"d', null] as texts,
         array['name']::name[] as names, array['2026-01-02'::date] as dates, array[now()] as times,
         array['{"a": [1]}'::jsonb] as jsons, array[array[1], array[2]] as nested, '{}'::text[] as empty,
         array['a'::"char"] as chars, pg_current_snapshot()::text as snapshot`;

test('the bundled functions read each type as pg does', async () => {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  try {
    await client.connect();
    await client.query('create type orders as (id int)');

    const read = async (types: typeof pg.types) => {
      const { rows } = await client.query({ text: VALUES, types });
      return Object.entries(rows[0] ?? {}).map(([name, value]) => [name, typeof value, value]);
    };
    const expected = await read(pg.types);
    const values = (await read(bundled)).map(([name, type, value]) => [name, type, value]);

    expect(expected).toHaveLength(38);
    const isFixed = ([name]: unknown[]) => name !== 'times' && name !== 'snapshot';
    expect(values.filter(isFixed)).toEqual(expected.filter(isFixed));
    expect(values.map(([, type]) => type)).toEqual(expected.map(([, type]) => type));
  } finally {
    await client.end();
    await database.drop();
  }
});

test('the bundled functions have the same parser for each type, and set their own', () => {
  const oids = Object.values(pg.types.builtins).filter((oid) => typeof oid === 'number');

  expect(oids.length).toBeGreaterThan(50);
  for (const oid of oids)
    expect(String(bundled.getTypeParser(oid, 'text')), `type ${oid}`).toBe(
      String(pg.types.getTypeParser(oid, 'text')).replace(/^function noParse [\s\S]*$/, String(String)),
    );
  bundled.setTypeParser(20, (value) => `own ${value}`);
  bundled.setTypeParser(20, 'binary', () => 'binary');
  expect([bundled.getTypeParser(20)('1'), bundled.getTypeParser(20, 'binary')('1')]).toEqual([
    'own 1',
    'binary',
  ]);
});
