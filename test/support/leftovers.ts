import { expect, vi } from 'vitest';
import { PATIENCE } from './waits.ts';

/** What no fault may leave in a database. */
interface Leftovers {
  invalidIndexes: string[];
  /** Sessions of this product. */
  sessions: string[];
  advisoryLocks: number;
  /** Relations with a temporary name of this product. */
  temporaryNames: string[];
}

const NO_LEFTOVERS: Leftovers = { invalidIndexes: [], sessions: [], advisoryLocks: 0, temporaryNames: [] };

type Query = (sql: string) => Promise<unknown[]>;

async function readLeftovers(query: Query): Promise<Leftovers | undefined> {
  const rows = await query(
    `select array(select indexrelid::regclass::text from pg_index where not indisvalid) as "invalidIndexes",
            array(select application_name || ': ' || query from pg_stat_activity
                   where datname = current_database() and application_name like 'pg-deploy-step%') as sessions,
            (select count(*)::int from pg_locks where locktype = 'advisory'
                and database = (select oid from pg_database where datname = current_database())) as "advisoryLocks",
            array(select relname::text from pg_class where starts_with(relname, 'pg_deploy_step_')) as "temporaryNames"`,
  );
  return rows[0] as Leftovers | undefined;
}

/** Waits until the sessions have ended, which they do shortly after their clients, and expects no leftovers. */
export async function expectNoLeftovers(query: Query): Promise<void> {
  await vi.waitFor(async () => expect((await readLeftovers(query))?.sessions).toEqual([]), PATIENCE);
  expect(await readLeftovers(query)).toEqual(NO_LEFTOVERS);
}
