/*
 * Measures preflight, one plan of builds, and the part of the report that compares definitions, for registries of 100, 1,000 and
 * 10,000 entries on a fifth as many tables: first all indexes are missing, then all are present. The tables are alike, as those of
 * tenants are, or no two of them are, so that each definition that depends on types must be tried. The arguments are other
 * numbers of entries. The number of queries must not depend on the number of entries.
 */
import { Client } from 'pg';
import { planBuilds } from '../lambdas/plan-builds/plan-builds.ts';
import { databaseOf, withClient } from '../lambdas/postgres/client.ts';
import { preflight } from '../lambdas/preflight/preflight.ts';
import { readIndexReports } from '../lambdas/report/index-report.ts';
import { planBuildsEventSchema } from '../lambdas/shared/build-payloads.ts';
import type { CompiledRegistry } from '../lambdas/shared/registry.ts';
import { startEmbeddedPostgres } from '../lib/local/embedded-postgres.ts';
import { compileRegistry } from '../lib/registry/compile-registry.ts';
import { countingDatabase } from '../test/support/counting-database.ts';
import { MANY_FORMS, manyEntries, tableOfEntry } from '../test/support/many-entries.ts';

const COUNTS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100, 1_000, 10_000];

const columnsOf = (table: number) =>
  `id int, tenant_id int, created_at timestamptz, deleted_at timestamptz, email varchar(${table}), status varchar(${table})`;
/** The locks of one transaction that creates tables are limited. */
const TABLES_PER_MESSAGE = 200;

const log = { debug() {}, info() {}, warn() {}, error() {} };

console.log('entries   tables   indexes   queries and time of preflight · plan · report');
for (const count of COUNTS) {
  await measure(count, 'alike');
  await measure(count, 'unlike');
}

async function measure(count: number, tables: 'alike' | 'unlike'): Promise<void> {
  const entries = Array.from({ length: count }, (_, entry) => entry);
  const written = manyEntries(count);
  const registry = await compileRegistry(written, 'the benchmark');
  const server = await startEmbeddedPostgres({ settings: { fsync: 'off' } });
  try {
    const firsts = entries.filter((entry) => entry % MANY_FORMS.length === 0);
    await inMessages(
      server.url(),
      firsts.map(
        (entry) =>
          `create table ${tableOfEntry(entry)} (${columnsOf(tables === 'alike' ? 20 : 1 + entry / MANY_FORMS.length)}, primary key (id)); create index on ${tableOfEntry(entry)} (id, status)`,
      ),
    );
    console.log(`${count}   ${tables}   missing   ${await figures(server.url(), registry)}`);
    await inMessages(
      server.url(),
      written.map(({ sql }) => sql.replace('concurrently', '')),
    );
    console.log(`${count}   ${tables}   present   ${await figures(server.url(), registry)}`);
  } finally {
    await server.stop('immediate');
  }
}

async function figures(url: string, registry: CompiledRegistry): Promise<string> {
  const { database, take } = countingDatabase(databaseOf({ DATABASE_URL: url }));
  const execution = { id: 'bench', name: 'bench', startedAt: new Date().toISOString() };
  const steps: (() => Promise<unknown>)[] = [
    async () =>
      await preflight(
        { execution, lock: { status: 'held' }, input: {} },
        {
          ...{ registry, database, log, migrationRunner: 'none', migrations: null, drainRoles: [] },
          toolMigrations: null,
          window: 'always',
          ...{
            connectPauses: [],
            listPauses: [],
            runningDeploys: async () => [],
            isPlan: async () => false,
            howToAbort: '',
          },
        },
      ),
    async () =>
      await planBuilds(planBuildsEventSchema.parse({ execution: 'bench', request: {} }), {
        ...{ registry, database, log, buildsPerRound: 500 },
      }),
    async () =>
      await withClient(
        database,
        'report',
        async (client) => await readIndexReports(client, 'bench', registry, []),
      ),
  ];
  const shown: string[] = [];
  for (const step of steps) {
    take();
    const started = performance.now();
    await step();
    shown.push(`${take().length} in ${((performance.now() - started) / 1000).toFixed(2)} s`);
  }
  return shown.join(' · ');
}

async function inMessages(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (let at = 0; at < statements.length; at += TABLES_PER_MESSAGE)
      await client.query(statements.slice(at, at + TABLES_PER_MESSAGE).join(';'));
  } finally {
    await client.end();
  }
}
