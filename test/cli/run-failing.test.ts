import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Report, reportSchema } from '../../lambdas/shared/report-schema.ts';
import type { AwsState } from '../../lib/local/aws/state-file.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const CRITICAL: IndexEntry = {
  name: 'people_email_key',
  sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS people_email_key ON people (lower(email))',
  critical: true,
  description: 'signing in',
};
/** Only the build shows that it fails: the rows decide. */
const DIVIDES: IndexEntry = {
  name: 'idx_people_share',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_people_share ON people ((100 / (id - 1)))',
  description: 'on an expression that one row does not have',
};

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  writeFileSync(place.file('critical.json'), JSON.stringify([CRITICAL]));
  writeFileSync(place.file('non-critical.json'), JSON.stringify([DIVIDES]));
  database = await createDatabase();
  await database.query(`
    create table people (id int primary key, email text not null);
    insert into people values (1, 'person@example.com'), (2, 'PERSON@example.com');
  `);
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

function run(registry: string, ...args: string[]) {
  const { deployUrl: url } = database;
  return place.run('run', '--database-url', url, '--indexes', registry, '--migrations', 'none', ...args);
}

/** Parses standard output, which must contain only the report. */
function reportOf(stdout: string): Report {
  return reportSchema.parse(JSON.parse(stdout));
}

describe('--json prints only the report on standard output', () => {
  test('when a non-critical index fails: exit 0, with the failure in the report', async () => {
    const { exitCode, stdout, stderr } = await run('non-critical.json', '--json', '--report', 'out.json');

    expect(reportOf(stdout)).toMatchObject({ status: 'succeeded', totals: { created: 0, failed: 1 } });
    expect(readFileSync(place.file('out.json'), 'utf8')).toBe(stdout);
    expect(stderr).toContain('Preflight');
    expect(stderr).toContain('idx_people_share on people (non-critical, 1 attempt');
    expect(stderr).toContain(
      'Warning: Not built: idx_people_share. The deploy continued, because these indexes are not critical.',
    );
    expect(exitCode).toBe(0);
  });

  test('when a critical index fails: exit 1', async () => {
    const { exitCode, stdout, stderr } = await run('critical.json', '--json');

    const report = reportOf(stdout);
    expect(report).toMatchObject({ status: 'failed', totals: { created: 0, failed: 1 } });
    expect(report.failure).toContain('Critical index not built: people_email_key on people');
    expect(stderr).toContain('people_email_key on people (critical, 1 attempt');
    expect(exitCode).toBe(1);
  });

  test('when the deploy is refused: exit 1', async () => {
    const url = new URL(database.url);
    url.pathname = '/nowhere';
    const { exitCode, stdout, stderr } = await run('critical.json', '--json', '--database-url', url.href);

    const report = reportOf(stdout);
    expect(report).toMatchObject({ status: 'failed', indexes: [] });
    expect(report.failure).toContain('database "nowhere" does not exist');
    expect(stderr).toContain('Refused before anything was stopped or changed.');
    expect(exitCode).toBe(1);
  });
});

describe('a failed critical index', () => {
  test('leaves the services stopped, and the command in the summary starts them again', async () => {
    // The second command reads the state file that the first one leaves in the working directory.
    const failed = await run('critical.json', '--services', 'demo');

    expect(failed.exitCode).toBe(1);
    const command = /Services LEFT STOPPED: api, worker; start them with: (.*) \(with the password/.exec(
      failed.stdout,
    )?.[1];
    expect(command).toMatch(/ run --database-url '.*' --services demo --mode start-services$/);
    expect(place.processes()).toEqual([]);
    // The task counts, and the marker that prevents an automatic start.
    expect(savedParameters()).toEqual(['api', 'left-stopped', 'worker']);

    const { password } = new URL(database.deployUrl);
    const { status, stdout } = spawnSync(`${command?.replace('***', password)} --json`, {
      shell: true,
      cwd: place.directory,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
    });

    expect(status).toBe(0);
    const report = reportOf(stdout);
    expect(report).toMatchObject({ status: 'succeeded', mode: 'start-services' });
    expect(report.services.map(({ name, startedAt }) => [name, startedAt])).toEqual([
      ['api', expect.any(String)],
      ['worker', expect.any(String)],
    ]);
    expect(savedParameters()).toEqual([]);
    expect(place.processes()).toEqual([]);
  });
});

/** Names of the saved parameters: services, and the marker that they are left stopped deliberately. */
function savedParameters(): string[] {
  const folder = '.pg-deploy-step';
  if (!place.files().includes(folder)) return [];
  return (
    place
      .files(folder)
      .map((name) => JSON.parse(readFileSync(place.file(`${folder}/${name}`), 'utf8')) as AwsState)
      .flatMap(({ ssm }) => Object.keys(ssm.parameters).map((name) => name.split('/').at(-1) ?? name))
      // It stays, and is free: see lib/workflow/deploy-lock.ts.
      .filter((name) => name !== 'deploy-lock')
      .toSorted()
  );
}
