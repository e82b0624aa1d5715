import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runSummary } from '../../lib/cli/summary/run-summary.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * Migration tools in an ECS task, whose tables say what is pending: a deploy stops the services only if the tool has something
 * to apply. The tools are the real ones.
 */

const SERVICES_UP = { api: 2, worker: 1 };

let database: TestDatabase;
let folder: string;
let opened: TestWorkflow | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-pending-'));
  mkdirSync(join(folder, 'migrations/meta'), { recursive: true });
  database = await createDatabase();
  await database.query('create table orders (id int primary key, status text)');
});

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

const binary = (name: string, file: string) => join(import.meta.dirname, '../../node_modules', name, file);

interface Tool {
  readonly tool: 'drizzle' | 'node-pg-migrate';
  /** Writes the first migrations. */
  write(sql: readonly string[]): void;
  /** The command that applies them. */
  command(): string[];
  /** Their names. */
  readonly names: readonly string[];
}

const DRIZZLE: Tool = {
  tool: 'drizzle',
  write(sql) {
    const entries = sql.map((text, idx) => {
      const tag = `000${idx}_step`;
      writeFileSync(join(folder, 'migrations', `${tag}.sql`), text);
      return { idx, version: '7', when: 1_700_000_000_000 + idx, tag, breakpoints: true };
    });
    const journal = { version: '7', dialect: 'postgresql', entries };
    writeFileSync(join(folder, 'migrations/meta/_journal.json'), JSON.stringify(journal));
  },
  command() {
    const config = join(folder, 'drizzle.config.mjs');
    const out = JSON.stringify(join(folder, 'migrations'));
    writeFileSync(
      config,
      `export default { dialect: 'postgresql', out: ${out}, dbCredentials: { url: process.env.DATABASE_URL } };`,
    );
    return [process.execPath, binary('drizzle-kit', 'bin.cjs'), 'migrate', `--config=${config}`];
  },
  names: ['0000_step', '0001_step'],
};

const NODE_PG_MIGRATE: Tool = {
  tool: 'node-pg-migrate',
  write(sql) {
    for (const [at, text] of sql.entries()) {
      const code = `exports.up = (pgm) => pgm.sql(${JSON.stringify(text)});\n`;
      writeFileSync(join(folder, 'migrations', `170000000000${at}_step.cjs`), code);
    }
  },
  command: () => [
    process.execPath,
    ...[binary('node-pg-migrate', 'bin/node-pg-migrate.js'), 'up', '-m', join(folder, 'migrations')],
  ],
  names: ['1700000000000_step', '1700000000001_step'],
};

async function open({ tool, command }: Tool): Promise<TestWorkflow> {
  await opened?.close();
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
      pending: { tool, directory: join(folder, 'migrations') },
    },
    aws: {
      tasks: [
        {
          ...{ cluster: 'demo', family: 'shop-migrate', container: 'migrate' },
          ...{ command: command(), directory: folder },
          // As the role that deploys, which then may read the tool's table.
          variables: { DATABASE_URL: database.deployUrl, HOME: folder },
        },
      ],
    },
  });
  return opened;
}

describe.each([DRIZZLE, NODE_PG_MIGRATE])('$tool', (tool) => {
  test('opens a window only for new migrations, and plan says which they are', async () => {
    const first = ['create table people (id int primary key);'];
    tool.write(first);
    let workflow = await open(tool);

    const plan = await workflow.deploy({ mode: 'plan' });
    const initial = await workflow.deploy();
    const again = await workflow.deploy();
    tool.write([...first, 'alter table people add column name text;']);
    workflow = await open(tool);
    const later = await workflow.deploy();

    expect(plan.report.migrations).toEqual({
      ...{ runner: 'ecs-task', outcome: 'not-run', applied: [], failure: null },
      ...{ pending: tool.names.slice(0, 1), known: true, appliedOnline: [], pendingOnline: [] },
    });
    expect(runSummary(plan.report, { colour: false, startCommand: null })).toContain(
      `Migrations that a deploy would apply: ${tool.names[0]}`,
    );
    expect(initial.report).toMatchObject({
      status: 'succeeded',
      migrations: { outcome: 'succeeded', pending: [] },
    });
    expect(initial.report.downtimeMs).toBeGreaterThan(0);
    expect(again.report).toMatchObject({
      status: 'succeeded',
      migrations: { outcome: 'not-run', pending: [], known: true },
      warnings: [
        'Nothing to do: no migration is pending and every requested index is valid. Services were not stopped.',
      ],
    });
    expect(again.report.services.every(({ stoppedAt }) => stoppedAt === null)).toBe(true);
    expect(later.report).toMatchObject({ status: 'succeeded', migrations: { outcome: 'succeeded' } });
    expect(later.report.downtimeMs).toBeGreaterThan(0);
    expect(await database.query('select id, name from people')).toEqual([]);
    expect(workflow.running()).toEqual(SERVICES_UP);
  });
});
