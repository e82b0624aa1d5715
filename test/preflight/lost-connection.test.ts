import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { waitForRows } from '../support/waits.ts';

const WAITING =
  "select pid from pg_stat_activity where datname = current_database() and application_name = 'pg-deploy-step preflight' and wait_event_type = 'Lock'";

let database: TestDatabase;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-lost-'));
  database = await createDatabase();
  await database.query('create table pgmigrations (id serial primary key, name text, run_on timestamp)');
});
afterEach(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the preflight and terminates its session, at a moment when it waits for a lock, as often as given. */
async function preflightThatLosesConnections(times: number) {
  const { preflight } = await openPreflight(
    database.url,
    [],
    writeMigrations(folder, { '0001_a': 'select 1;' }),
  );
  const blocker = await connect(database.url);
  await blocker.query('begin; lock table pgmigrations in access exclusive mode');
  const answer = preflight();
  const pids: unknown[] = [];
  for (let lost = 0; lost < times; lost += 1) {
    await waitForRows(database, `${WAITING} and pid <> all ($1)`, [pids]);
    const [session] = await database.query<{ pid: number }>(`${WAITING} and pid <> all ($1)`, [pids]);
    pids.push(session?.pid);
    await database.query('select pg_terminate_backend($1)', [session?.pid]);
  }
  await blocker.end();
  return await answer;
}

test('a preflight that loses its connection checks again on a new one', async () => {
  expect(await preflightThatLosesConnections(1)).toMatchObject({ decision: 'deploy', refusal: null });
});

test('a preflight that loses every connection refuses the deploy and says what to do', async () => {
  expect(await preflightThatLosesConnections(3)).toMatchObject({
    decision: 'refused',
    refusal:
      'The database closed the connection while the preflight examined it: terminating connection due to administrator command ' +
      '(SQLSTATE 57P01). Start the deploy again when the database is available.',
  });
});
