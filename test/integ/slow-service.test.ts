import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { holdSession } from '../../examples/playground/session-tasks.ts';
import { APPLICATION_NAME } from '../../integ/slow-service.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { waitUntil } from '../support/waits.ts';

/*
 * The script of the tasks of the test on AWS. It needs psql, as its image has it.
 */

const hasPsql = isInstalled();
if (!hasPsql) {
  console.warn(
    'NOT TESTED: psql is not installed, so the script of the tasks is not run (Debian: apt-get install postgresql-client).',
  );
}

function isInstalled(): boolean {
  try {
    execFileSync('psql', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

let database: TestDatabase;
let task: ChildProcess | undefined;

beforeEach(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  // The shell and psql, as the end of a container ends all of its processes.
  if (task?.pid !== undefined && task.exitCode === null) process.kill(-task.pid, 'SIGKILL');
  task = undefined;
  await database.drop();
});

const sessions = async () =>
  (
    await database.query<{ pid: number }>(
      'select pid from pg_stat_activity where datname = current_database() and application_name = $1',
      [APPLICATION_NAME],
    )
  ).map(({ pid }) => pid);

/** Starts a task. @param seconds how long it continues after SIGTERM */
function start(seconds: number): ChildProcess {
  const { hostname, port, username, password } = new URL(database.url);
  const child = spawn('/bin/sh', ['-c', holdSession(seconds)], {
    detached: true,
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      ...{
        PGAPPNAME: APPLICATION_NAME,
        PGHOST: decodeURIComponent(hostname),
        PGPORT: port,
        PGDATABASE: database.name,
      },
      ...{ PGUSER: decodeURIComponent(username), PGPASSWORD: decodeURIComponent(password) },
    },
  });
  task = child;
  return child;
}

test.runIf(hasPsql)('a task holds a session, also after SIGTERM, and ends by itself', async () => {
  const child = start(2);
  const ended = new Promise<number | null>((done) => child.on('exit', done));
  await waitUntil('the session of the task', async () => (await sessions()).length === 1);
  const before = await sessions();

  child.kill('SIGTERM');

  expect(await sessions()).toEqual(before);
  expect(await ended).toBe(0);
});

test.runIf(hasPsql)('a task opens a new session when it has lost its session', async () => {
  start(0);
  await waitUntil('the session of the task', async () => (await sessions()).length === 1);
  const [first] = await sessions();

  await database.query('select pg_terminate_backend($1)', [first]);

  await waitUntil('another session', async () => {
    const now = await sessions();
    return now.length === 1 && now[0] !== first;
  });
});
