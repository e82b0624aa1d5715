import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let empty: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  empty = await createDatabase();
  await database.query(`
    create table tenants (id int primary key);
    create table notes (id int primary key, tenant_id int references tenants, body text);
    insert into tenants select generate_series(1, 10);
    insert into notes select n, 1 + n % 10, 'text' from generate_series(1, 20000) n;
    create index notes_body on notes (body);
    create index notes_body_again on notes (body)`);
  await database.query('vacuum analyze');
});

afterAll(async () => {
  place.remove();
  await database.drop();
  await empty.drop();
});

const doctor = async (...args: string[]) =>
  await place.run('doctor', '--database-url', database.url, ...args);

describe('doctor', () => {
  test('prints the findings with their fixes on one screen, and exits with 1', async () => {
    const { exitCode, stdout, stderr } = await doctor();
    expect([exitCode, stderr]).toEqual([1, '']);
    const text = stdout
      .replaceAll(/\d{4}-\d\d-\d\d/g, 'DATE')
      .replaceAll(/\d+ kB/g, 'SIZE')
      .replace(/test_\w+/, 'NAME')
      .replace(/PostgreSQL [\d.]+/, 'PostgreSQL 18');
    expect(text).toBe(`Database NAME, PostgreSQL 18, statistics since DATE.

Foreign keys without an index (foreign-key-without-index): 1
  high    notes (tenant_id): No index starts with the columns of the foreign key notes_tenant_id_fkey. Deletes from tenants, and joins, read all of notes (about 20000 rows, SIZE). …
          CREATE INDEX CONCURRENTLY IF NOT EXISTS "idx_notes_tenant_id" ON "public"."notes" ("tenant_id");

Tenant tables without an index for the tenant (tenant-table-without-index): 1
  high    notes (tenant_id): notes (about 20000 rows, SIZE) has the tenant column tenant_id, and no index starts with it. A query for one tenant reads the rows of all of them.
          CREATE INDEX CONCURRENTLY IF NOT EXISTS "idx_notes_tenant_id" ON "public"."notes" ("tenant_id");

Duplicate indexes (duplicate): 1
  high    notes_body_again on notes (body): It has the same definition as notes_body, and every write updates both. It has SIZE. The other one can serve its 0 scans.
          DROP INDEX CONCURRENTLY "public"."notes_body_again";

4 findings: confidence high 3, medium 0, unknown 1. --all shows all of them with the whole evidence, --json for programs.
Not known: The extension pgstattuple is not installed in this database. Bloat is estimated without it. CREATE EXTENSION pgstattuple; (bloated)
Not known: The extension pg_stat_statements is not installed in this database. CREATE EXTENSION pg_stat_statements; Its library must be in shared_preload_libraries. (slow-statement)
Not known: No registry was given. --indexes FILE (not-in-registry, not-in-database)
`);
  });

  test('--json has the fields that the documentation shows', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/doctor.md'), 'utf8');
    const documented = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '');
    const { stdout } = await doctor('--json');
    const { findings, ...diagnosis } = JSON.parse(stdout);
    const { findings: shown, ...fields } = documented;
    expect(Object.keys(diagnosis)).toEqual(Object.keys(fields));
    expect(findings.length).toBeGreaterThan(0);
    for (const one of findings) expect(Object.keys(one).toSorted()).toEqual(Object.keys(shown[0]).toSorted());
    expect(Object.keys(diagnosis.unknown[0])).toEqual(Object.keys(documented.unknown[0]));
  });

  test('--all prints findings of unknown confidence too, and how to create a dropped index again', async () => {
    const { stdout } = await doctor('--all');
    expect(stdout).toContain('\n  unknown notes_body on notes (body): No query has scanned it since');
    expect(stdout).toContain(
      '\n          To create it again: CREATE INDEX CONCURRENTLY notes_body_again ON public.notes USING btree (body);',
    );
  });

  test.each<[string[], number]>([
    [['--fail-on', 'none'], 0],
    [['--fail-on', 'invalid,bloated'], 0],
    [['--fail-on', 'invalid, duplicate'], 1],
    [['--fail-on', 'unused'], 0],
    [['--fail-on', 'unused', '--confidence', 'unknown'], 1],
    [['--fail-on', 'all', '--confidence', 'high'], 1],
  ])('%s exits with %i', async (flags, expected) => {
    expect((await doctor(...flags)).exitCode).toBe(expected);
  });

  test('without findings exits with 0', async () => {
    const { exitCode, stdout } = await place.run('doctor', '--database-url', empty.url);
    expect([exitCode, stdout.split('\n')[1]]).toEqual([0, 'No findings.']);
  });

  test('reads DATABASE_URL without a flag', async () => {
    const variables = createCommandFolder({ DATABASE_URL: empty.url });
    const { exitCode, stdout } = await variables.run('doctor');
    variables.remove();
    expect([exitCode, stdout.split('\n')[1]]).toEqual([0, 'No findings.']);
  });

  test('accepts the foreign keys that cdk.json and comments in migrations accept', async () => {
    const project = createCommandFolder();
    const kinds = async (...args: string[]) => {
      const { stdout } = await project.run('doctor', '--database-url', database.url, '--json', ...args);
      return (JSON.parse(stdout) as { findings: { kind: string }[] }).findings.map(({ kind }) => kind);
    };
    mkdirSync(project.file('migrations'));
    writeFileSync(
      project.file('migrations/0001_tables.sql'),
      `create table tenants (id int primary key);
       create table notes (
         id int primary key,
         -- pg-deploy-step: allow foreign-key-without-index notes are never listed
         tenant_id int references tenants
       );`,
    );
    expect(await kinds('--migrations', 'migrations')).toEqual(['duplicate', 'unused']);
    const lint = {
      acceptedForeignKeys: [{ table: 'notes', columns: ['tenant_id'], reason: 'never listed' }],
    };
    writeFileSync(project.file('cdk.json'), JSON.stringify({ context: { lint } }));
    expect(await kinds()).toEqual(['duplicate', 'unused']);
    writeFileSync(project.file('cdk.json'), JSON.stringify({ context: { lint: { tenantColumn: null } } }));
    expect(await kinds()).toEqual(['foreign-key-without-index', 'duplicate', 'unused']);
    project.remove();
  });

  test.each<[string, string[], string]>([
    ['no database', [], 'error: give the database with --database-url <url>, or in DATABASE_URL'],
    [
      'an unknown kind',
      ['--database-url', 'env', '--fail-on', 'dead'],
      'There is no kind "dead". The kinds are invalid,',
    ],
    [
      'a wrong replica',
      ['--database-url', 'postgres://h/d', '--replica', 'nothing=1'],
      "error: option '--replica <url>':",
    ],
    ['a registry that does not exist', ['--indexes', 'missing.json'], 'missing.json does not exist.'],
    ['a wrong number', ['--window', 'x'], 'It must be a whole number from 0 to 3650.'],
  ])('%s is wrong usage', async (_, flags, message) => {
    const { exitCode, stdout, stderr } = await place.run('doctor', ...flags);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });

  test('a database that cannot be read, and a wrong registry, are errors without a result', async () => {
    const { exitCode, stdout, stderr } = await place.run(
      'doctor',
      '--database-url',
      'postgres://127.0.0.1:1/x',
      '--json',
    );
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('The database cannot be read: connect ECONNREFUSED 127.0.0.1:1');
    writeFileSync(place.file('wrong.json'), '[{ "name": "i", "sql": "create index i on t (a)" }]');
    const wrong = await doctor('--indexes', 'wrong.json');
    expect([wrong.exitCode, wrong.stdout]).toEqual([1, '']);
    expect(wrong.stderr).toContain('wrong.json:1:');
  });
});
