import { expect } from 'vitest';
import type { TestDatabase } from './database.ts';
import { expectNoLeftovers } from './leftovers.ts';

interface IndexOnTable {
  table: string;
  name: string;
  valid: boolean;
  /** The index is attached to the index of a partitioned table. */
  attached: boolean;
}

/** All indexes on user tables, ordered by table and name. */
export async function readIndexes(database: TestDatabase): Promise<IndexOnTable[]> {
  return await database.query<IndexOnTable>(
    `select i.indrelid::regclass::text as "table", c.relname as name, i.indisvalid as valid, c.relispartition as attached
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
      where i.indrelid >= 16384 and c.relnamespace::regnamespace::text not in ('deploy_step', 'pg_toast')
      order by 1, 2`,
  );
}

/** Expects one partitioned table with one valid index, and exactly one attached index on each partition. */
export async function expectCompletePartitionedIndex(database: TestDatabase, leaves: number): Promise<void> {
  await expectNoLeftovers(async (sql) => await database.query(sql));
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
