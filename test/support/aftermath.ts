import { expect, vi } from 'vitest';

/** What no fault may leave behind in a database, by name. */
export interface Aftermath {
  invalidIndexes: string[];
  /** Of this product. */
  sessions: string[];
  advisoryLocks: number;
  /** Relations that this product names for a while. */
  ownNames: string[];
}

export const CLEAN: Aftermath = { invalidIndexes: [], sessions: [], advisoryLocks: 0, ownNames: [] };

type Query = (sql: string) => Promise<unknown[]>;

export async function readAftermath(query: Query): Promise<Aftermath | undefined> {
  const rows = await query(
    `select array(select indexrelid::regclass::text from pg_index where not indisvalid) as "invalidIndexes",
            array(select application_name || ': ' || query from pg_stat_activity
                   where datname = current_database() and application_name like 'pg-deploy-step%') as sessions,
            (select count(*)::int from pg_locks where locktype = 'advisory'
                and database = (select oid from pg_database where datname = current_database())) as "advisoryLocks",
            array(select relname::text from pg_class where starts_with(relname, 'pg_deploy_step_')) as "ownNames"`,
  );
  return rows[0] as Aftermath | undefined;
}

/** Nothing is left behind. Sessions end a moment after their clients. */
export async function expectClean(query: Query): Promise<void> {
  await vi.waitFor(async () => expect((await readAftermath(query))?.sessions).toEqual([]), {
    timeout: 60_000,
  });
  expect(await readAftermath(query)).toEqual(CLEAN);
}
