import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Report, reportSchema } from '../../lambdas/shared/report-schema.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/** A release that adds an index without a name. */
const RELEASE = '-- Customers of a project by status\nCREATE INDEX ON customers (project_id, status);\n';
const TABLES = `create table projects (id int primary key);
create table customers (id int primary key, project_id int not null references projects, status text not null);
`;
const NAME = 'customers_project_id_status_idx';

let place: CommandFolder;
const databases: TestDatabase[] = [];

async function openDatabase(): Promise<TestDatabase> {
  const database = await createDatabase();
  databases.push(database);
  return database;
}

beforeAll(() => {
  place = createCommandFolder();
  mkdirSync(join(place.directory, 'migrations'));
  writeFileSync(place.file('migrations/0001_customers.sql'), TABLES);
  writeFileSync(place.file('migrations/0002_release.sql'), RELEASE);
  writeFileSync(place.file('indexes.ts'), 'export default [];\n');
});

afterAll(async () => {
  place.remove();
  for (const database of databases) await database.drop();
});

async function lint(...flags: string[]) {
  return await place.run('lint', '--indexes', 'indexes.ts', '--migrations', 'migrations', ...flags);
}

async function deploy({ deployUrl }: TestDatabase): Promise<Report> {
  const { exitCode, stdout, stderr } = await place.run(
    ...[
      'run',
      '--database-url',
      deployUrl,
      '--indexes',
      'indexes.ts',
      '--migrations',
      'migrations',
      '--json',
    ],
  );
  expect(exitCode, stderr).toBe(0);
  return reportSchema.parse(JSON.parse(stdout));
}

test('lint --fix moves an unnamed index into the registry, and the next deploy builds it with its default name', async () => {
  const refused = await lint();
  const fixed = await lint('--fix');
  const afterwards = await lint('--strict');

  expect(refused.exitCode).toBe(1);
  expect(refused.stdout).toContain('migrations/0002_release.sql:2:1: error create-index');
  expect(fixed.stdout).toContain(`Moved ${NAME} from migrations/0002_release.sql, line 2.`);
  expect([fixed.exitCode, afterwards.exitCode]).toEqual([0, 0]);
  expect(readFileSync(place.file('indexes.ts'), 'utf8')).toContain(`name: '${NAME}'`);

  const database = await openDatabase();
  const report = await deploy(database);

  expect(report.migrations.applied).toEqual(['0001_customers', '0002_release']);
  expect(report.indexes).toMatchObject([{ name: NAME, table: 'customers', status: 'built' }]);
});

test('a deploy to a database where the migration created the index reports it as present', async () => {
  const database = await openDatabase();
  await database.query(TABLES + RELEASE);
  await database.query(`create table pgmigrations (id serial primary key, name text, run_on timestamp);
    insert into pgmigrations (name, run_on) values ('0001_customers', now()), ('0002_release', now())`);

  const report = await deploy(database);

  expect(report.indexes).toMatchObject([{ name: NAME, status: 'present', attempts: 0 }]);
  expect(report.totals).toEqual({ created: 0, skipped: 1, failed: 0, remaining: 0 });
});
