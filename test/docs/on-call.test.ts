import { globSync, readFileSync } from 'node:fs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { machineNamesOf } from '../../lib/config/resource-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { blocksOf } from './support/page-blocks.ts';

/*
 * docs/on-call.md: the rights of the person on call are those of the commands and queries in the runbook, and no others.
 */

interface Statement {
  readonly Action: string | string[];
  readonly Resource: string | string[];
}

const POLICIES = blocksOf('docs/on-call.md', 'json').map(
  (block) => JSON.parse(block).Statement as Statement[],
);
const actionsOf = (statements: readonly Statement[] = []) =>
  statements.flatMap(({ Action }) => Action).toSorted();
const [LOOK, RERUN, RECOVER] = POLICIES;

/** What the person on call reads: the runbook without the chapter for those who deploy the stack. */
const RUNBOOK = readFileSync('docs/runbook.md', 'utf8').replace(/^## Old versions$[\s\S]*?(?=^## )/m, '');
/** The messages of alerts contain commands too. */
const ALERTS = globSync('lambdas/report/*.ts')
  .map((file) => readFileSync(file, 'utf8'))
  .join('');

/** The actions of IAM that the commands of a text need. */
function actionsOfCommands(text: string): string[] {
  const commands = [...text.matchAll(/\baws ([a-z0-9]+) ([a-z]+(?:-[a-z]+)*)/g)];
  const actions = commands.map(([, service = '', operation = '']) => {
    // It is no operation of the API.
    if (service === 'logs' && operation === 'tail') return 'logs:FilterLogEvents';
    const name = operation.replaceAll(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
    return `${service === 'stepfunctions' ? 'states' : service}:${name}`;
  });
  return [...new Set(actions)].toSorted();
}

describe('the policies', () => {
  test('allow every command of the runbook and of the alerts', () => {
    const needed = actionsOfCommands(RUNBOOK + ALERTS);
    expect(needed.length).toBeGreaterThan(9);
    expect(POLICIES.flatMap(actionsOf)).toEqual(expect.arrayContaining(needed));
  });

  test('to look changes nothing; to run again and to recover are the changes of the runbook only', () => {
    for (const action of actionsOf(LOOK)) expect(action).toMatch(/^[a-z]+:(?:Get|List|Describe|Filter)/);
    expect(actionsOf(RERUN)).toEqual(['states:StartExecution']);
    expect(actionsOf(RECOVER)).toEqual(['ecs:StopTask', 'ssm:DeleteParameter', 'states:StopExecution']);
  });

  test('name the resources of the environment', () => {
    const machines = Object.values(machineNamesOf('prod'));
    const started = (RERUN ?? []).flatMap(({ Resource }) => Resource).map((arn) => arn.split(':').at(-1));
    expect(machines).toEqual(expect.arrayContaining(started));
    expect(started).toContain('pg-deploy-step-prod-start-services');
    const wide = POLICIES.flat().filter(({ Resource }) => Resource === '*');
    expect(wide.flatMap(({ Action }) => Action)).not.toContain('states:StartExecution');
    expect(wide.length).toBe(1);
  });
});

describe('the database role', () => {
  let database: TestDatabase;
  let client: Client;
  const role = () => `${database.name}_on_call`;

  beforeAll(async () => {
    database = await createDatabase();
    await database.query(
      'create schema deploy_step; create table deploy_step.index_builds (deploy text, index_schema text, index_name text, attempt int, status text, repairs boolean, started_at timestamptz, finished_at timestamptz, sqlstate text, message text); create table orders (id int)',
    );
    const [create = ''] = blocksOf('docs/on-call.md', 'sql');
    await database.query(
      create.replaceAll('shop_on_call', role()).replaceAll('database shop ', `database ${database.name} `),
    );
    await database.query(`alter role ${role()} password 'on-call'`);
    const url = new URL(database.url);
    url.username = role();
    url.password = 'on-call';
    client = new Client({ connectionString: url.href });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.query(`drop owned by ${role()}; drop role ${role()}`);
    await database.drop();
  });

  test('can run each query with which the runbook inspects the database', async () => {
    const [chapter = ''] = /^## Inspect the database$[\s\S]*?(?=^## )/m.exec(RUNBOOK) ?? [];
    const queries = [...chapter.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, query = '']) => query);

    expect(queries.length).toBeGreaterThan(6);
    for (const query of queries) await expect(client.query(query), query).resolves.toBeDefined();
  });

  test('sees what sessions of other roles do, can end them, and can read no table', async () => {
    const other = new Client({ connectionString: database.deployUrl });
    other.on('error', () => undefined);
    await other.connect();
    const { rows } = await other.query<{ pid: number }>('select pg_backend_pid() as pid');

    const pid = rows[0]?.pid;
    expect((await client.query('select state from pg_stat_activity where pid = $1', [pid])).rows).toEqual([
      { state: 'idle' },
    ]);
    expect((await client.query('select pg_terminate_backend($1) as ended', [pid])).rows).toEqual([
      { ended: true },
    ]);
    await expect(client.query('select * from orders')).rejects.toMatchObject({ code: '42501' });
    await other.end().catch(() => undefined);
  });
});
