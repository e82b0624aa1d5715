import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { processesOf } from '../support/processes.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The command lines of real migration tools in the migration task (the runner ecs-task): they succeed, fail and are killed.
 */

const binary = (name: string, file: string) => join(import.meta.dirname, '../../node_modules', name, file);

interface Tool {
  name: string;
  /** Writes the files of a project, with these migrations. @returns the command that applies them */
  project(folder: string, migrations: readonly string[]): string[];
  /** Counts what the tool has recorded as applied. */
  applied: string;
}

const NODE_PG_MIGRATE: Tool = {
  name: 'node-pg-migrate',
  project(folder, migrations) {
    for (const [at, sql] of migrations.entries())
      writeFileSync(join(folder, `170000000000${at}_step.sql`), `-- Up Migration\n${sql}\n`);
    return [process.execPath, binary('node-pg-migrate', 'bin/node-pg-migrate.js'), 'up', '-m', folder];
  },
  applied: 'select count(*)::int as n from pgmigrations',
};

const DRIZZLE: Tool = {
  name: 'drizzle-kit',
  project(folder, migrations) {
    const out = join(folder, 'drizzle');
    mkdirSync(join(out, 'meta'), { recursive: true });
    const entries = migrations.map((sql, idx) => {
      const tag = `000${idx}_step`;
      writeFileSync(join(out, `${tag}.sql`), sql);
      return { idx, version: '7', when: 1_700_000_000_000 + idx, tag, breakpoints: true };
    });
    const journal = { version: '7', dialect: 'postgresql', entries };
    writeFileSync(join(out, 'meta/_journal.json'), JSON.stringify(journal));
    const config = join(folder, 'drizzle.config.mjs');
    writeFileSync(
      config,
      `export default { dialect: 'postgresql', out: ${JSON.stringify(out)}, dbCredentials: { url: process.env.DATABASE_URL } };`,
    );
    return [process.execPath, binary('drizzle-kit', 'bin.cjs'), 'migrate', `--config=${config}`];
  },
  applied: 'select count(*)::int as n from drizzle.__drizzle_migrations',
};

const SERVICES_UP = { api: 2, worker: 1 };
const PEOPLE = 'create table people (id int primary key, email text);';

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-tools-'));
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function open(tool: Tool, migrations: readonly string[]): Promise<TestWorkflow> {
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [
      {
        name: 'idx_orders_status',
        sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_status ON orders (status)',
        description: 'orders by status',
      },
    ],
    runner: {
      runner: 'ecs-task',
      ...{ cluster: 'demo', taskDefinition: 'shop-migrate', container: 'migrate' },
      roles: { task: 'none', execution: 'none' },
      network: { subnetIds: ['subnet-1'], securityGroupIds: ['sg-1'] },
    },
    aws: {
      tasks: [
        {
          ...{ cluster: 'demo', family: 'shop-migrate', container: 'migrate' },
          command: tool.project(folder, migrations),
          directory: folder,
          variables: {
            DATABASE_URL: database.url,
            HOME: folder,
            PGOPTIONS: '-c client_connection_check_interval=500',
          },
        },
      ],
    },
  });
  return opened;
}

const appliedBy = async (tool: Tool) => (await database.query<{ n: number }>(tool.applied))[0]?.n;

const exists = async (table: string) =>
  (await database.query<{ found: boolean }>('select to_regclass($1) is not null as found', [table]))[0]
    ?.found;

describe.each([NODE_PG_MIGRATE, DRIZZLE])('$name', (tool) => {
  test('applies its migrations, and the deploy continues with the indexes', async () => {
    const workflow = await open(tool, [PEOPLE, 'alter table people add column name text;']);

    const { status, report } = await workflow.deploy();

    expect(report.failure).toBeNull();
    expect(status).toBe('SUCCEEDED');
    expect(await appliedBy(tool)).toBe(2);
    expect(await database.query('select id, email, name from people')).toEqual([]);
    expect(report.migrations).toMatchObject({ runner: 'ecs-task', outcome: 'succeeded' });
    expect(report.totals.created).toBe(1);
    expect(workflow.running()).toEqual(SERVICES_UP);
  });

  test('that fails ends the deploy: no index is built, the services start, and the alert has the exit code', async () => {
    const workflow = await open(tool, [PEOPLE, 'alter table nowhere add column name text;']);

    const { status, report } = await workflow.deploy();

    expect(status).toBe('FAILED');
    expect(report.failure).toMatch(/^The migration failed: the container migrate .* ended with exit code 1/);
    expect(report.totals.created).toBe(0);
    expect(workflow.running()).toEqual(SERVICES_UP);
    expect(workflow.alerts[0]?.Message).toContain('ended with exit code 1');
  });

  test('that is killed ends the deploy: the services start, and nothing of its transaction remains', async () => {
    const workflow = await open(tool, [PEOPLE, 'select pg_sleep(600);']);
    const sleeping =
      "select pid from pg_stat_activity where datname = current_database() and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()";

    const deploying = workflow.deploy();
    await eventually(async () => (await database.query(sleeping)).length).toBe(1);
    for (const { pid } of processesOf(folder)) process.kill(pid, 'SIGKILL');
    const { status, report } = await deploying;

    expect(status).toBe('FAILED');
    expect(report.failure).toContain('ended with exit code 137');
    expect(workflow.running()).toEqual(SERVICES_UP);
    await eventually(async () => (await database.query(sleeping)).length).toBe(0);
    await eventually(() => exists('people')).toBe(false);
  });
});
