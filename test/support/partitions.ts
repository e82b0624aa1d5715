import { expect } from 'vitest';
import { expectClean } from './aftermath.ts';
import type { TestDatabase } from './database.ts';

export interface IndexOnTable {
  table: string;
  name: string;
  valid: boolean;
  /** To the index of a partitioned table. */
  attached: boolean;
}

/** The indexes outside of the system's schemas, by table and name. */
export async function readIndexes(database: TestDatabase): Promise<IndexOnTable[]> {
  return await database.query<IndexOnTable>(
    `select i.indrelid::regclass::text as "table", c.relname as name, i.indisvalid as valid, c.relispartition as attached
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
      where i.indrelid >= 16384 and c.relnamespace::regnamespace::text not in ('deploy_step', 'pg_toast')
      order by 1, 2`,
  );
}

/** One partitioned table whose only index is valid and whole: each leaf has one part of it, attached, and nothing else. */
export async function expectPartitioned(database: TestDatabase, leaves: number): Promise<void> {
  await expectClean(async (sql) => await database.query(sql));
  const [tables] = await database.query<{ all: number; leaves: number }>(
    `select count(*) filter (where relkind = 'p')::int as all, count(*) filter (where relkind = 'r')::int as leaves
       from pg_class where relkind in ('p', 'r') and (relkind = 'p' or relispartition)`,
  );
  expect(tables?.leaves).toBe(leaves);
  const indexes = await readIndexes(database);
  expect(indexes.filter((one) => !one.valid)).toEqual([]);
  expect(indexes).toHaveLength((tables?.all ?? 0) + leaves);
  expect(indexes.filter((one) => !one.attached)).toHaveLength(1);
}
