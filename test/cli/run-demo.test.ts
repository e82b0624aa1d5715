import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import indexes from '../../database/indexes.ts';
import { reportSchema } from '../../lambdas/shared/report-schema.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/waits.ts';

// All tests share one database: the first one interrupts the filling, the second fills and deploys, the third deploys again.
const NAMES = indexes.map(({ name }) => name).toSorted();

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  database = await createDatabase();
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

async function registryIndexes() {
  return await database.query<{ name: string; oid: number; valid: boolean }>(
    `select c.relname as name, c.oid::int as oid, i.indisvalid as valid
       from pg_index i join pg_class c on c.oid = i.indexrelid
      where c.relname = any ($1) order by c.relname collate "C"`,
    [NAMES],
  );
}

async function sessions(like: string): Promise<number> {
  const rows = await database.query(
    'select 1 from pg_stat_activity where datname = current_database() and application_name like $1',
    [like],
  );
  return rows.length;
}

test('Ctrl-C while the demo database is filled ends the command and its session, and the next run fills it', async () => {
  const command = place.start(
    'run',
    '--database-url',
    database.deployUrl,
    '--seed',
    'demo',
    '--services',
    'demo',
  );
  await eventually(() => sessions('pg-deploy-step seed')).toBe(1);

  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(stdout).toContain('Interrupted before the deploy started.');
  await eventually(() => sessions('pg-deploy-step seed')).toBe(0);
  expect(place.processes()).toEqual([]);
  expect(place.temporaryFiles()).toEqual([]);
  expect(place.files()).toEqual([]);
});

test('a run of the demo builds every index of the registry, and stops and starts the services', async () => {
  const { exitCode, stdout, stderr } = await place.run(
    ...['run', '--database-url', database.deployUrl, '--seed', 'demo', '--services', 'demo'],
    ...['--report', 'out.json'],
  );

  expect(exitCode, `${stdout}${stderr}`).toBe(0);
  expect(stdout).not.toContain('It already has the demo rows.');
  expect((await registryIndexes()).map(({ name, valid }) => [name, valid])).toEqual(
    NAMES.map((name) => [name, true]),
  );
  expect(await database.query('select 1 from pg_index where not indisvalid')).toEqual([]);
  const report = reportSchema.parse(JSON.parse(readFileSync(place.file('out.json'), 'utf8')));
  expect(report.totals).toEqual({ created: NAMES.length, skipped: 0, failed: 0, remaining: 0 });
  expect(report.queries?.filter(({ verdict }) => verdict !== 'index')).toEqual([]);
  expect(report.queries?.length).toBeGreaterThan(20);
  expect(report.migrations.pending).toEqual([]);
  expect(report.migrations.applied).not.toEqual([]);
  expect(report.services.map(({ name }) => name)).toEqual(['api', 'worker']);
  for (const { stoppedAt, startedAt } of report.services) {
    expect(Date.parse(stoppedAt ?? '')).toBeLessThan(Date.parse(startedAt ?? ''));
  }
  expect(report.downtimeMs).toBeGreaterThan(0);
  expect(stdout).toMatch(/Services: api, worker; they were down for \d/);

  // The demo services end with the command. No state file remains, because no service is left stopped.
  // The server ends a session some time after its client has disconnected.
  await eventually(() => sessions('%')).toBe(1);
  expect(place.processes()).toEqual([]);
  expect(place.temporaryFiles()).toEqual([]);
  expect(place.files()).toEqual(['out.json']);
});

test('a second run of the demo changes nothing and reports that there is nothing to do', async () => {
  const before = await registryIndexes();

  const { exitCode, stdout } = await place.run('run', '--database-url', database.deployUrl);

  expect(exitCode).toBe(0);
  expect(stdout).toContain('Nothing to do');
  expect(stdout).toContain(`Indexes: 0 created, ${NAMES.length} already present, 0 failed, 0 remaining`);
  expect(await registryIndexes()).toEqual(before);
});

test('Ctrl-C while the embedded database is filled leaves no server, no process and no file behind', async () => {
  const command = place.start('run');
  await eventually(() => command.output()).toContain('Filling the demo database');

  command.interrupt();
  const { exitCode, stdout } = await command.ended;

  expect(exitCode).toBe(1);
  expect(stdout).toContain('Interrupted before the deploy started.');
  expect(place.processes()).toEqual([]);
  expect(place.temporaryFiles()).toEqual([]);
});
