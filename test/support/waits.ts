import { expect, vi } from 'vitest';
import type { TestDatabase } from './database.ts';

/*
 * Tests wait for conditions. The time limits only end a test that hangs.
 */

/** How tests wait: milliseconds between two checks, and the time limit. */
export const PATIENCE = { interval: 50, timeout: 300_000 } as const;

/** Checks a value again and again until it is as expected. */
export function eventually<T>(read: () => T) {
  return expect.poll(read, PATIENCE);
}

/** Waits until a condition is true. Unlike `eventually` it also works in tests that run side by side. */
export async function waitUntil(condition: string, isTrue: () => Promise<boolean>): Promise<void> {
  const check = async () => {
    if (!(await isTrue())) throw new Error(`Never seen: ${condition}`);
  };
  await vi.waitFor(check, PATIENCE);
}

/** Waits until a query returns rows. */
export async function waitForRows(
  database: TestDatabase,
  sql: string,
  params: unknown[] = [],
): Promise<void> {
  await waitUntil(`rows of ${sql}`, async () => (await database.query(sql, params)).length > 0);
}

/** Waits until a session of this product waits for a lock on a table. */
export async function waitForTableLockRequest(database: TestDatabase, table: string): Promise<void> {
  await waitForRows(
    database,
    `select from pg_locks l join pg_stat_activity a using (pid)
      where not l.granted and l.relation = $1::regclass and a.application_name like 'pg-deploy-step%'`,
    [table],
  );
}

/** Waits until a build on a table is in a phase whose name begins with `phase`. */
export async function waitForBuildPhase(database: TestDatabase, table: string, phase: string): Promise<void> {
  await waitForRows(
    database,
    'select from pg_stat_progress_create_index where relid = $1::regclass and starts_with(phase, $2)',
    [table, phase],
  );
}

/** Waits until the functions have logged a line that contains a text. */
export async function waitForLogLine({ log }: { readonly log: string[] }, text: string): Promise<void> {
  await waitUntil(`a line with "${text}"`, async () => log.some((line) => line.includes(text)));
}
