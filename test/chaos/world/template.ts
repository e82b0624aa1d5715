import type { EmbeddedPostgres } from '../../../lib/local/embedded-postgres.ts';
import { type Indexes, readIndexes } from '../checks/indexes.ts';
import { Target } from '../target.ts';
import { chaosEntries } from './entries.ts';
import { MIGRATIONS } from './migrations.ts';
import { ANALYZE, EARLIER_INDEXES, FAILING_BUILDS, TABLES } from './tables.ts';

/** The database that each round copies. */
const TEMPLATE = 'chaos_template';
const REFERENCE = 'chaos_reference';

/** Creates the template. @returns the indexes of a clean build of the registry, without runs and without disturbances */
export async function createTemplate(server: EmbeddedPostgres): Promise<Indexes> {
  const admin = new Target(server, 'postgres');
  await admin.query(`create database ${TEMPLATE}`);
  const template = new Target(server, TEMPLATE);
  await template.query(TABLES);

  const reference = await copyDatabase(server, TEMPLATE, REFERENCE);
  for (const sql of Object.values(MIGRATIONS)) await reference.query(sql);
  for (const entry of chaosEntries(false)) {
    if (entry.expected.kind === 'valid') await reference.query(entry.plainSql);
  }
  const indexes = await readIndexes(reference.query);
  await admin.query(`drop database ${REFERENCE} with (force)`);

  for (const sql of EARLIER_INDEXES) await template.query(sql);
  for (const sql of FAILING_BUILDS) {
    const failed = await template.query(sql).then(
      () => false,
      () => true,
    );
    if (!failed) throw new Error(`This statement should fail and leave an invalid index: ${sql}`);
  }
  await template.query(ANALYZE);
  return indexes;
}

/** Creates the database of a round. */
export async function createFromTemplate(server: EmbeddedPostgres, name: string): Promise<Target> {
  return await copyDatabase(server, TEMPLATE, name);
}

/** Copies a database. Sessions in it are ended, because PostgreSQL does not copy a database that is in use. */
export async function copyDatabase(server: EmbeddedPostgres, from: string, to: string): Promise<Target> {
  const admin = new Target(server, 'postgres');
  await admin.query(
    'select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
    [from],
  );
  await admin.query(`create database ${to} template ${from}`);
  return new Target(server, to);
}

export async function dropDatabase(server: EmbeddedPostgres, name: string): Promise<void> {
  await new Target(server, 'postgres').persist(`drop database if exists ${name} with (force)`);
}
