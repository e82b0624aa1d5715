import { type Database, withClient } from '../postgres/client.ts';
import { pendingMigrations } from '../postgres/migration-history.ts';
import { messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { knowsPending, type MigrationRunnerName } from '../shared/migration-runner.ts';
import type { ReportEvent, ReportResult } from '../shared/payloads.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import type { IndexReport, Report } from '../shared/report-schema.ts';
import { type AlertContext, alertOf } from './alert.ts';
import { failureOf } from './failure.ts';
import { fitting, readIndexReports, totalsOf } from './index-report.ts';
import { migrationsReport } from './migrations.ts';
import { downtimeOf, serviceReports } from './service-report.ts';

export interface ReportIo {
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
  /** Sessions that were ended because they held a build up. */
  terminated: string[];
  /** What is told of drifted indexes. */
  drifted: string[];
  pendingMigrations: string[];
  unreadable: string | null;
}

/** Sums a deploy up. It always comes to an answer: what cannot be read is said to be unreadable. */
export async function report(event: ReportEvent, io: ReportIo): Promise<ReportResult> {
  const { state, execution } = event;
  const facts = await readFacts(event, io);
  const services = serviceReports(state, io.services);
  const totals = totalsOf(facts.indexes);
  const migrations = migrationsReport(
    io.migrationRunner,
    state.window?.output.migrations,
    facts.pendingMigrations,
  );
  const failure = failureOf(state, facts.indexes, services, migrations);
  const shown = fitting(facts.indexes);
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
  io.log.info('Summary.', { status: result.status, failure, ...totals });
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
  // Nothing was looked at, so there is nothing to say of the indexes; and the database may be what is down.
  if (state.decision === 'refused' || state.decision === 'start-services') {
    return { indexes: [], terminated: [], drifted: [], pendingMigrations: [], unreadable: null };
  }
  try {
    return await withClient(io.database, 'report', async (client) => ({
      ...(await readIndexReports(client, state.deploy ?? execution.name, io.registry, state.indexes ?? [])),
      pendingMigrations:
        io.migrationsDirectory === null ? [] : await pendingMigrations(client, io.migrationsDirectory),
      unreadable: null,
    }));
  } catch (error) {
    return { indexes: [], terminated: [], drifted: [], pendingMigrations: [], unreadable: messageOf(error) };
  }
}

function warningsOf(event: ReportEvent, facts: DatabaseFacts, runner: MigrationRunnerName): string[] {
  const warnings: string[] = [];
  if (facts.unreadable !== null) {
    warnings.push(`The state of the indexes could not be read: ${facts.unreadable}`);
  }
  if (event.state.decision === 'nothing') {
    warnings.push(
      `Nothing to do: ${knowsPending(runner) ? 'no migration is pending and ' : ''}every index asked for is valid. Services were not stopped.`,
    );
  }
  const lost = facts.indexes.filter((index) => index.status === 'failed' && !index.critical);
  if (lost.length > 0) {
    warnings.push(
      `Not built, and the deploy went on without: ${lost.map((index) => index.name).join(', ')}.`,
    );
  }
  warnings.push(...facts.drifted);
  for (const session of facts.terminated) warnings.push(`Ended, because it held a build up: ${session}.`);
  return warnings;
}
