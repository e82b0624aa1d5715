import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Report, reportSchema } from '../../lambdas/shared/report-schema.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const TOOL = `
import pg from ${JSON.stringify(import.meta.resolve('pg'))};
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await client.query('create table if not exists colours (name text)');
await client.end();
console.error('tool: exiting with ' + process.argv[2]);
process.exit(Number(process.argv[2]));
`;

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  writeFileSync(place.file('tool.mjs'), TOOL);
  writeFileSync(
    place.file('indexes.json'),
    JSON.stringify([
      {
        name: 'idx_colours_name',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_colours_name ON colours (name)',
        description: 'by name',
      },
    ]),
  );
  database = await createDatabase();
});

afterAll(async () => {
  expect(place.processes()).toEqual([]);
  expect(place.temporaryFiles()).toEqual([]);
  place.remove();
  await database.drop();
});

const run = (...args: string[]) =>
  place.run('run', '--database-url', database.deployUrl, '--indexes', 'indexes.json', ...args);

const tool = (exitCode: number) => `"${process.execPath}" tool.mjs ${exitCode}`;

const reportOf = (stdout: string): Report => reportSchema.parse(JSON.parse(stdout));

test('a plan reports that a deploy would run the command, and does not run it', async () => {
  const { exitCode, stdout } = await run('--migration-command', tool(0), '--mode', 'plan');

  expect(stdout).toContain(
    'Migrations: a deploy would run the migration task; only the migration task knows what is pending.',
  );
  expect(exitCode).toBe(0);
  expect(await database.query("select to_regclass('colours') as it")).toEqual([{ it: null }]);
});

test('a failed command exits with 1, shows its exit code and last output, and builds no index', async () => {
  const { exitCode, stdout } = await run('--migration-command', `echo first; ${tool(3)}`);

  expect(stdout).toMatch(
    /failed after .*: The migration failed: the container migration of the task [0-9a-f]{32} .* ended with exit code 3/,
  );
  expect(stdout).toContain('Last output of the migration command:\n  first\n  tool: exiting with 3\n');
  expect(exitCode).toBe(1);
  expect(await database.query("select 1 from pg_class where relname = 'idx_colours_name'")).toEqual([]);
});

test('a successful command exits with 0, and the index on the table that it created is built', async () => {
  const { exitCode, stdout } = await run('--migration-command', tool(0), '--json');

  expect(reportOf(stdout)).toMatchObject({
    migrations: { runner: 'ecs-task', outcome: 'succeeded', applied: [], pending: [], failure: null },
    totals: { created: 1 },
  });
  expect(exitCode).toBe(0);
});

test('an empty command is wrong usage', async () => {
  const { exitCode, stderr } = await run('--migration-command', ' ');

  expect(stderr).toContain('Give the command that runs the migrations, such as "alembic upgrade head".');
  expect(exitCode).toBe(2);
});
