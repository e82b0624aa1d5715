import { type Database, withClient } from '../postgres/client.ts';
import { messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { knowsPending, type MigrationRunnerName } from '../shared/migration-runner.ts';
import type { ReportEvent, ReportResult } from '../shared/payloads.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import type { IndexReport, Report } from '../shared/report-schema.ts';
import { type AlertContext, alertOf } from './alert.ts';
import { deployFailure } from './deploy-failure.ts';
import { asPlanned, readIndexReports, shortenedToFit, totalsOf } from './index-report.ts';
import { type MigrationFacts, readMigrationFacts } from './migration-facts.ts';
import { migrationsReport } from './migrations-report.ts';
import { downtimeOf, serviceReports } from './service-report.ts';
import { unrecordedFailures, withUnrecordedFailures } from './unrecorded-failures.ts';

interface ReportIo {
  registry: CompiledRegistry;
  database: Database;
  migrationRunner: MigrationRunnerName;
  /** Null: this environment has no SQL files. */
  migrationsDirectory: string | null;
  /** Names of the configured services. */
  services: readonly string[];
  context: AlertContext;
  /** ISO 8601. */
  now: () => string;
  log: Log;
}

interface DatabaseFacts {
  indexes: IndexReport[];
  /** Sessions that the deploy terminated because they blocked a build. */
  terminated: string[];
  /** A sentence for each drifted index. */
  drifted: string[];
  /** Null: the database could not be read, or there are no SQL files. */
  migrations: MigrationFacts | null;
  /** Why the database could not be read. Null: it was read. */
  unreadable: string | null;
}

/** Reports on a deploy. It does not fail when the database is down: then the report says what could not be read. */
export async function report(event: ReportEvent, io: ReportIo): Promise<ReportResult> {
  const { state, execution } = event;
  const read = await readFacts(event, io);
  const indexes = withUnrecordedFailures(read.indexes, unrecordedFailures(state), io.registry);
  const facts = { ...read, indexes };
  const services = serviceReports(state, io.services);
  const totals = totalsOf(facts.indexes);
  const migrations = migrationsReport(io.migrationRunner, state.window?.output.migrations, facts.migrations);
  const failure = deployFailure(state, { indexes: facts.indexes, services, migrations });
  const shown = shortenedToFit(facts.indexes);
  const result: Report = {
    deploy: state.deploy ?? execution.name,
    mode: state.mode ?? 'deploy',
    status: failure === null ? 'succeeded' : 'failed',
    startedAt: execution.startedAt,
    finishedAt: io.now(),
    services,
    downtimeMs: downtimeOf(services),
    migrations,
    indexes: shown.indexes,
    indexesOmitted: shown.omitted,
    totals,
    failure,
    warnings: warningsOf(event, facts, io.migrationRunner),
  };
  io.log.info('Deploy summary.', { status: result.status, failure, ...totals });
  const alert = alertOf(result, io.context);
  return {
    report: result,
    status: result.status,
    failure: failure ?? '',
    alert: alert === undefined ? { needed: false, subject: '', message: '' } : { needed: true, ...alert },
  };
}

async function readFacts(event: ReportEvent, io: ReportIo): Promise<DatabaseFacts> {
  const { state, execution } = event;
  // The deploy did not examine the indexes, and the database may be down.
  if (state.decision === 'refused' || state.decision === 'start-services') {
    return { indexes: [], terminated: [], drifted: [], migrations: null, unreadable: null };
  }
  try {
    return await withClient(io.database, 'report', async (client) => {
      const deploy = state.deploy ?? execution.name;
      const { indexes, ...facts } = await readIndexReports(client, deploy, io.registry, state.indexes ?? []);
      return {
        ...facts,
        indexes: state.decision === 'plan' ? indexes.map(asPlanned) : indexes,
        migrations:
          io.migrationsDirectory === null
            ? null
            : await readMigrationFacts(client, deploy, io.migrationsDirectory),
        unreadable: null,
      };
    });
  } catch (error) {
    return { indexes: [], terminated: [], drifted: [], migrations: null, unreadable: messageOf(error) };
  }
}

function warningsOf(event: ReportEvent, facts: DatabaseFacts, runner: MigrationRunnerName): string[] {
  const warnings: string[] = [];
  if (facts.unreadable !== null) {
    warnings.push(`The state of the indexes could not be read: ${facts.unreadable}`);
  }
  const failed = facts.indexes.filter((index) => index.status === 'failed' && !index.critical);
  if (event.state.decision === 'nothing') {
    const indexes = failed.length === 0 ? 'every requested index is valid' : 'no index can be built';
    warnings.push(
      `Nothing to do: ${knowsPending(runner) ? 'no migration is pending and ' : ''}${indexes}. Services were not stopped.`,
    );
  }
  if (failed.length > 0) {
    warnings.push(
      `Not built: ${failed.map((index) => index.name).join(', ')}. The deploy continued, because these indexes are not critical.`,
    );
  }
  warnings.push(...facts.drifted);
  for (const session of facts.terminated)
    warnings.push(`Terminated a session that blocked a build: ${session}.`);
  return warnings;
}
