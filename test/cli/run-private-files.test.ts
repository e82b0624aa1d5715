import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { OTHER_ACCOUNT, testWithOtherAccount } from '../support/other-account.ts';
import { processesOf } from '../support/processes.ts';
import { eventually } from '../support/waits.ts';

/* Attacks of another account on the files of a run: links at names that it can know, and files that it can read. */
let place: CommandFolder;
let database: TestDatabase;

beforeEach(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  await database.query("create table events (kind text); insert into events values ('')");
});

afterEach(async () => {
  place.remove();
  await database.drop();
});

const FAILING = {
  name: 'idx_by_zero',
  sql: 'create index concurrently if not exists idx_by_zero on events ((1 / length(kind)))',
};

function writeRegistry(critical = false): void {
  const entry = { ...FAILING, description: 'It divides by zero.', critical };
  writeFileSync(place.file('registry.json'), JSON.stringify([entry]));
}

/** Every file and folder below a folder, with the bits of its mode that other users have. */
function exposed(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !lstatSync(file).isSymbolicLink() && (lstatSync(file).mode & 0o077) !== 0);
}

const ON_DATABASE = ['--indexes', 'registry.json', '--migrations', 'none'];

test('a link at the place of the log is not followed', async () => {
  writeRegistry();
  const victim = place.file('victim');
  writeFileSync(victim, 'unchanged');
  const run = place.start('run', '--database-url', database.url, ...ON_DATABASE);
  await eventually(() => run.output()).toContain('Synthesising');
  symlinkSync(victim, join(place.root, 'tmp', `pg-deploy-step-${run.pid}.log`));

  await run.ended;

  expect(readFileSync(victim, 'utf8')).toBe('unchanged');
});

test('the log of a failed run is in a private folder, also under umask 000', async () => {
  writeRegistry(true);
  const before = process.umask(0o000);
  let run: ReturnType<CommandFolder['start']>;
  try {
    run = place.start('run', '--database-url', database.url, ...ON_DATABASE, '--services', 'demo');
  } finally {
    process.umask(before);
  }

  const { exitCode, stdout, stderr } = await run.ended;

  expect(exitCode, stderr).toBe(1);
  const [, log = ''] = /^Log of the functions: (.*)$/m.exec(stdout) ?? [];
  expect(readFileSync(log, 'utf8')).toContain('preflight');
  expect(exposed(join(place.root, 'tmp'))).toEqual([]);
  // The services are left stopped, so the state stays.
  expect(place.files('.pg-deploy-step')).toEqual([expect.stringMatching(/^aws-\w+\.json$/)]);
  expect(statSync(place.file('.pg-deploy-step')).mode & 0o077).toBe(0);
  expect(exposed(place.file('.pg-deploy-step'))).toEqual([]);
});

test('the password is in no file, output, log or command line of a run, other than the one that the user typed', async () => {
  writeRegistry(true);
  await database.query(`create role secretive superuser login password 'pa55-of-a-test'`);
  try {
    const url = Object.assign(new URL(database.url), {
      username: 'secretive',
      password: 'pa55-of-a-test',
    }).href;
    await database.query('create table audit_logs (id int)');
    writeFileSync(place.file('migrate.sh'), 'sleep 0.1; echo "connected to $PGHOST"');
    const run = place.start(
      ...['run', '--database-url', url, '--indexes', 'registry.json', '--services', 'demo'],
      ...['--migration-command', 'sh migrate.sh', '--report', 'report.json'],
    );
    const seen = new Set<string>();
    let ended = false;
    void run.ended.then(() => {
      ended = true;
    });
    await eventually(() => {
      const processes = processesOf(place.root);
      // A process that the run has just forked still has the line that the user typed.
      const typed = processes.find(({ pid }) => pid === run.pid)?.commandLine;
      for (const { commandLine } of processes) if (commandLine !== typed) seen.add(commandLine);
      return ended;
    }).toBe(true);

    const { exitCode, stdout, stderr } = await run.ended;

    expect(exitCode, stderr).toBe(1);
    expect([...seen].join('\n')).toContain('lambda-process.ts');
    expect([...seen].join('\n')).toContain('demo-service-process.ts');
    const files = readdirSync(place.root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.map((file) => file.replace(place.root, ''))).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/aws-\w+\.json$/),
        expect.stringMatching(/functions\.log$/),
      ]),
    );
    const everything = [stdout, stderr, ...seen, ...files.map((file) => readFileSync(file, 'utf8'))];
    for (const text of everything) expect(text).not.toContain('pa55-of-a-test');
  } finally {
    await database.query('drop owned by secretive cascade');
    await database.query('drop role secretive');
  }
});

test('compiled modules are kept in a private folder of the package, and not in the temporary folder', async () => {
  const { exitCode, stderr } = await place.run('lint', '--help');

  expect(exitCode, stderr).toBe(0);
  const folder = join(import.meta.dirname, '../../node_modules/.cache/pg-deploy-step');
  expect(statSync(folder).mode & 0o077).toBe(0);
  expect(readdirSync(folder)).not.toEqual([]);
  expect(readdirSync(join(place.root, 'tmp'))).toEqual([]);
});

test('a state folder that is a link is refused before anything is changed', async () => {
  writeRegistry();
  const target = place.file('target');
  mkdirSync(target);
  symlinkSync(target, place.file('.pg-deploy-step'));

  const ended = await place.run('run', '--database-url', database.url, ...ON_DATABASE, '--services', 'demo');

  expect(ended.stderr).toContain(`${place.file('.pg-deploy-step')} is a symbolic link`);
  expect(ended.exitCode).toBe(1);
  expect(readdirSync(target)).toEqual([]);
  expect(await database.query("select to_regnamespace('deploy_step') as ledger")).toEqual([{ ledger: null }]);
});

testWithOtherAccount('state of another user is refused before anything is changed', async () => {
  writeRegistry(true);
  await place.run('run', '--database-url', database.url, ...ON_DATABASE, '--services', 'demo');
  const [name = ''] = place.files('.pg-deploy-step');
  const file = place.file(`.pg-deploy-step/${name}`);
  const args = ['run', '--database-url', database.url, ...ON_DATABASE, '--services', 'demo'];
  chownSync(file, OTHER_ACCOUNT, OTHER_ACCOUNT);
  const forgedFile = await place.run(...args);
  chownSync(place.file('.pg-deploy-step'), OTHER_ACCOUNT, OTHER_ACCOUNT);
  rmSync(file);
  const forgedFolder = await place.run(...args);

  expect(forgedFile.stderr).toContain(
    `${file} belongs to another user (uid ${OTHER_ACCOUNT}), so it is not read.`,
  );
  expect(forgedFolder.stderr).toContain(`.pg-deploy-step belongs to another user (uid ${OTHER_ACCOUNT})`);
  expect([forgedFile.exitCode, forgedFolder.exitCode]).toEqual([1, 1]);
});

test('a temporary folder in which every user can replace files is reported', async () => {
  writeRegistry();
  const args = ['run', '--database-url', database.url, ...ON_DATABASE, '--mode', 'plan'];
  const before = await place.run(...args);
  chmodSync(join(place.root, 'tmp'), 0o777);
  const after = await place.run(...args);

  expect(before.stderr).not.toContain('sticky');
  expect(after.stderr).toContain(
    `Warning: every user of this machine can replace the files in the temporary folder ${join(place.root, 'tmp')}`,
  );
  expect(after.exitCode).toBe(before.exitCode);
});
