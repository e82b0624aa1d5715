import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import { runSummary } from '../../lib/cli/summary/run-summary.ts';
import { terminalText } from '../../lib/cli/terminal/terminal-text.ts';
import type { TestDatabase } from '../support/database.ts';
import { expectHarmless, HOSTILE_NAME, HOSTILE_REGISTERED_NAME } from '../support/hostile-text.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

const ident = (name: string) => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

const TABLE = `t${HOSTILE_REGISTERED_NAME}`;
const index = (name: string, sql: string, critical = false) => ({
  name,
  sql: `create ${sql}`,
  critical,
  description: `for ${HOSTILE_NAME}`,
});
const GOOD = `g${HOSTILE_REGISTERED_NAME}`;
const TWICE = `u${HOSTILE_REGISTERED_NAME}`;
const WITHOUT_COLUMN = `c${HOSTILE_REGISTERED_NAME}`;
const IN_SCHEMA = 'www.evil.example/x';

/** What a mail client or a chat makes a link or a mention of. */
const LINK = /:\/\/|www\.|evil\.example|<!|<h/;

describe.each(MAJORS)('names that attack a terminal, a log and a mail, PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let workflow: TestWorkflow;

  beforeAll(async () => {
    database = await server.createDatabase();
    await database.query(
      `create table ${ident(TABLE)} (n int); insert into ${ident(TABLE)} values (1), (1);
       create schema ${ident(HOSTILE_REGISTERED_NAME)}; create table ${ident(HOSTILE_REGISTERED_NAME)}.${ident(IN_SCHEMA)} (n int);`,
    );
    workflow = await openTestWorkflow({
      databaseUrl: database.url,
      indexes: [
        index(GOOD, `index concurrently if not exists ${ident(GOOD)} on ${ident(TABLE)} (n)`),
        index(TWICE, `unique index concurrently if not exists ${ident(TWICE)} on ${ident(TABLE)} (n)`),
        index(
          WITHOUT_COLUMN,
          `index concurrently if not exists ${ident(WITHOUT_COLUMN)} on ${ident(TABLE)} (${ident(HOSTILE_REGISTERED_NAME)})`,
          true,
        ),
        index(
          IN_SCHEMA,
          `index concurrently if not exists ${ident(IN_SCHEMA)} on ${ident(HOSTILE_REGISTERED_NAME)}.${ident(IN_SCHEMA)} (m)`,
        ),
      ],
      migrations: {
        '0001_raises': `do $$ begin if current_setting('hostile.raise', true) = 'yes' then raise exception '%', ${literal(HOSTILE_NAME)} using detail = ${literal(HOSTILE_NAME)}, hint = ${literal(HOSTILE_NAME)}; end if; end $$;`,
      },
      builds: { attempts: 1 },
    });
  });

  afterAll(async () => {
    await workflow?.close();
    await database?.drop();
  });

  function expectHarmlessOutputs(report: Report, cause: string | undefined): string {
    expectHarmless(cause ?? '');
    for (const warning of [...report.warnings, report.failure ?? '']) expectHarmless(warning);
    const log = workflow.log.splice(0);
    expect(log).not.toEqual([]);
    for (const line of log) expectHarmless(line);
    const summary = terminalText(runSummary(report, { colour: false, startCommand: null }));
    expectHarmless(summary);
    expect(summary).not.toMatch(/^error/m);
    const { Subject = '', Message = '' } = workflow.alerts.at(-1) ?? {};
    for (const text of [Subject, Message]) {
      expectHarmless(text);
      expect(text).not.toMatch(LINK);
    }
    return Message;
  }

  test('are escapes in the cause, the report, the log and the alert of a failed index', async () => {
    const { status, cause, report } = await workflow.deploy();

    const message = expectHarmlessOutputs(report, cause);
    expect(status).toBe('FAILED');
    expect(message).toContain('cx\\u007f\\u009b2J\\u202e\\u003cb>');
    // The values of the fields are those of the database.
    expect(report.indexes.map(({ name, status: of }) => [name, of])).toEqual([
      [GOOD, 'built'],
      [TWICE, 'failed'],
      [WITHOUT_COLUMN, 'failed'],
      [IN_SCHEMA, 'failed'],
    ]);
    // The input that the alert shows is JSON with these names.
    const input = JSON.parse(/with the input (\{"indexes".*\})\.$/m.exec(message)?.[1] ?? '');
    expect(input.indexes).toEqual(
      [WITHOUT_COLUMN, TWICE, `${HOSTILE_REGISTERED_NAME}.${IN_SCHEMA}`].toSorted(bySameOrder(input.indexes)),
    );
  });

  test('are escapes when a migration raises them', async () => {
    await database.query(`alter database ${ident(database.name)} set hostile.raise = 'yes'`);
    await database.query('truncate pgmigrations');
    const { status, cause, report } = await workflow.deploy();

    const message = expectHarmlessOutputs(report, cause);
    expect(status).toBe('FAILED');
    expect(message).toContain('Migration 0001_raises.sql, line 1');
    expect(report.migrations.failure?.message.split('\n')).toHaveLength(1);
  });

  test('are escapes when the name of an execution attacks', async () => {
    const name = 'www.evil.example\u202e\u200b';
    const { ended } = workflow.workflow.start({ mode: 'nothing' }, name);
    const { result, summary } = await ended;

    expect(result.status).toBe('FAILED');
    const message = expectHarmlessOutputs(summary?.report as Report, result.cause);
    expect(message).toContain('Deploy: www\\u002eevil\\u002eexample\\u202e\\u200b (deploy)');
  });
});

function bySameOrder(order: readonly string[]) {
  return (a: string, b: string) => order.indexOf(a) - order.indexOf(b);
}
