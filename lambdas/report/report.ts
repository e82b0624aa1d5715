import { type Client, type Database, withClient } from '../postgres/client.ts';
import { withConnectionRetry } from '../postgres/connection-retry.ts';
import { completeAbandoned } from '../postgres/ledger.ts';
import { describeSearchPath } from '../postgres/search-path.ts';
import {
  describeDatabaseError,
  INVALID_SCHEMA_NAME,
  sqlstateOf,
  UNDEFINED_TABLE,
} from '../postgres/sqlstate.ts';
import { messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import { knowsPending, type MigrationRunnerName } from '../shared/migration-runner.ts';
import type { WindowPolicy } from '../shared/online-migrations.ts';
import type { ReportEvent } from '../shared/payloads.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import type { ReportResult } from '../shared/report-result.ts';
import type { IndexReport, Report } from '../shared/report-schema.ts';
import { visible, visibleLines } from '../shared/visible-text.ts';
import { type AlertContext, alertOf } from './alert.ts';
import { deployFailure } from './deploy-failure.ts';
import { type EntryIndexReport, reportsOfEntries } from './entry-reports.ts';
import { endedHoldOf, holdOf, holdWarnings } from './hold-report.ts';
import { asPlanned, type IndexNote, readIndexReports, shortenedToFit, totalsOf } from './index-report.ts';
import {
  driftWarnings,
  notBuiltWarnings,
  notComparedWarnings,
  terminatedWarnings,
} from './index-warnings.ts';
import { type MigrationFacts, readMigrationFacts } from './migration-facts.ts';
import { migrationsReport } from './migrations-report.ts';
import { refusalOf, rehearsalWarnings, rehearsedServices } from './rehearsal.ts';
import { summaryOf } from './report-summary.ts';
import { revisionWarnings } from './revision-report.ts';
import { downtimeOf, serviceReports } from './service-report.ts';
import { unrecordedFailures, withUnrecordedFailures } from './unrecorded-failures.ts';

interface ReportIo {
  registry: CompiledRegistry;
  database: Database;
  migrationRunner: MigrationRunnerName;
  /** When a deploy stops the services. */
  window: WindowPolicy;
  /** Null: this environment has no SQL files. */
  migrationsDirectory: string | null;
  /** Names of the configured services. */
  services: readonly string[];
  context: AlertContext;
  /** Saves the report with all of its indexes. @default it is not saved: an execution has no place for it */
  saveWhole?: ((report: Report) => void) | undefined;
  /** Pauses before each further attempt to read the database, in milliseconds. */
  connectPauses: readonly number[];
  /** ISO 8601. */
  now: () => string;
  log: Log;
}

/** A server that restarts is mostly available again after these pauses. The report does not wait longer. */
export const CONNECT_PAUSES_MS = [1_000, 3_000, 6_000];

interface DatabaseFacts {
  indexes: EntryIndexReport[];
  drifted: IndexNote[];
  notCompared: IndexNote[];
  searchPath: Report['searchPath'];
  /** Null: the database could not be read, or there are no SQL files. */
  migrations: MigrationFacts | null;
  /** Why the database could not be read. Null: it was read. */
  unreadable: string | null;
}

/** Step Functions accepts 256 KiB for what the function returns, including what Lambda adds to it. */
const MAX_RESULT_BYTES = 240 * 1024;

/** Reports on a deploy. It does not fail when the database is down: then the report says what could not be read. */
export async function report(event: ReportEvent, io: ReportIo): Promise<ReportResult> {
  const { state, execution } = event;
  const read = await readFacts(event, io);
  const all = withUnrecordedFailures(read.indexes, unrecordedFailures(state), io.registry);
  const indexes = reportsOfEntries(all, io.registry);
  const facts = { ...read, indexes };
  const isPlan = state.mode === 'plan';
  const reported = serviceReports(state, io.services);
  const services = isPlan ? rehearsedServices(state, reported) : reported;
  const totals = totalsOf(facts.indexes);
  const { onlineMigrations, onlineFailure } = state;
  const ran = { window: state.window?.output.migrations, onlineMigrations, onlineFailure };
  const migrations = migrationsReport(io.migrationRunner, ran, {
    facts: facts.migrations,
    before: state.pendingMigrations,
  });
  const failure = deployFailure(state, { indexes: facts.indexes, services, migrations });
  const hold = holdOf(state);
  const endedHold = endedHoldOf(state);
  const complete: Report = {
    deploy: state.deploy ?? execution.name,
    mode: state.mode ?? 'deploy',
    status: failure === null ? 'succeeded' : 'failed',
    startedAt: execution.startedAt,
    finishedAt: io.now(),
    services,
    downtimeMs: downtimeOf(services),
    window: io.window,
    ...(hold && { hold }),
    ...(endedHold && { endedHold }),
    migrations,
    searchPath: facts.searchPath,
    indexes: facts.indexes,
    indexesOmitted: 0,
    totals,
    failure,
    ...(isPlan && { decision: state.planned?.decision ?? null, refusal: refusalOf(state) }),
    warnings: [
      ...(isPlan ? rehearsalWarnings(state, io.services) : []),
      ...warningsOf(event, facts, isPendingKnown(state, io)),
      ...holdWarnings(state, services, failure),
      ...revisionWarnings(state),
    ].map(visibleLines),
  };
  const whole = { ...complete, summary: summaryOf(complete) };
  io.log.info('Deploy summary.', { status: whole.status, failure, ...totals });
  io.saveWhole?.(whole);
  const alert = alertOf(whole, io.context);
  return toFit({
    report: whole,
    status: whole.status,
    failure: failure ?? '',
    alert: alert === undefined ? { needed: false, subject: '', message: '' } : { needed: true, ...alert },
  });
}

/** Omits indexes from the report if the result is too large for an execution. */
function toFit(result: ReportResult): ReportResult {
  const rest = { ...result, report: { ...result.report, indexes: [] } };
  const room = MAX_RESULT_BYTES - Buffer.byteLength(JSON.stringify(rest));
  const { indexes, omitted } = shortenedToFit(result.report.indexes, room);
  return { ...result, report: { ...result.report, indexes, indexesOmitted: omitted } };
}

async function readFacts(event: ReportEvent, io: ReportIo): Promise<DatabaseFacts> {
  const { state } = event;
  // The deploy did not examine the indexes, and the database may be down. After a hold, builds can follow the start.
  const built = state.builds !== undefined || state.buildsFailure !== undefined;
  if (state.decision === 'refused' || (state.decision === 'start-services' && !built)) {
    return unread(io, null);
  }
  try {
    return await withConnectionRetry(io, async () => await readDatabase(event, io));
  } catch (error) {
    return unread(io, messageOf(error));
  }
}

/** @param reason why the database could not be read. Null: it was not needed */
function unread({ database }: ReportIo, reason: string | null): DatabaseFacts {
  const { searchPath: schemas } = database;
  return {
    ...{ indexes: [], drifted: [], notCompared: [], migrations: null, unreadable: reason },
    searchPath: schemas === undefined ? null : { schemas: [...schemas], source: 'environment' },
  };
}

async function readDatabase({ state, execution }: ReportEvent, io: ReportIo): Promise<DatabaseFacts> {
  return await withClient(io.database, 'report', async (client) => {
    const deploy = state.deploy ?? execution.name;
    const read = await readIndexReports(client, deploy, io.registry, state.indexes ?? []);
    const isPlan = state.decision === 'plan';
    if (!isPlan) await completeLedger(client, read.indexes, io.log);
    const migrations =
      io.migrationsDirectory === null
        ? null
        : await readMigrationFacts(client, deploy, io.migrationsDirectory, io.window);
    const pending = migrations?.pending ?? state.pendingMigrations?.names ?? [];
    const mayAppear = !isPendingKnown(state, io) || pending.length > 0;
    return {
      drifted: read.drifted,
      notCompared: read.notCompared,
      searchPath: await describeSearchPath(client),
      indexes: isPlan ? await asPlanned(client, read, mayAppear) : read.indexes,
      migrations,
      unreadable: null,
    };
  });
}

/** Whether it was known before the window which migrations are pending. */
function isPendingKnown(state: ReportEvent['state'], io: ReportIo): boolean {
  return knowsPending(io.migrationRunner) || state.pendingMigrations?.known === true;
}

/** The ledger is a record. That it cannot be completed now must not cost the report. */
async function completeLedger(client: Client, indexes: readonly IndexReport[], log: Log): Promise<void> {
  try {
    await completeAbandoned(
      client,
      indexes.map(({ schema, name, status }) => ({
        ...{ schema, name },
        valid: ['present', 'built', 'repaired'].includes(status),
      })),
    );
  } catch (error) {
    if (sqlstateOf(error) === UNDEFINED_TABLE || sqlstateOf(error) === INVALID_SCHEMA_NAME) return;
    log.warn('Attempts of deploys that were killed are still recorded as building.', {
      reason: describeDatabaseError(error),
    });
  }
}

/** Texts about many indexes are grouped, so that a report has at most 20 of them. */
function warningsOf(event: ReportEvent, facts: DatabaseFacts, isKnown: boolean): string[] {
  const { warnings: found = [], notThereYet = [] } = event.state;
  const { failed: notBuilt, remaining } = totalsOf(facts.indexes);
  const isEverythingThere = facts.unreadable === null && notBuilt + remaining === 0;
  const warnings = found.filter((warning) => !isEverythingThere || !notThereYet.includes(warning));
  if (facts.unreadable !== null) {
    warnings.push(`The state of the indexes could not be read: ${visible(facts.unreadable)}`);
  }
  const failed = facts.indexes.filter((index) => index.status === 'failed' && !index.critical);
  if (event.state.decision === 'nothing') {
    const indexes = failed.length === 0 ? 'every requested index is valid' : 'no index can be built';
    warnings.push(
      `${event.state.update === undefined ? 'Nothing to do' : 'Only revisions to update'}: ${isKnown ? 'no migration is pending and ' : ''}${indexes}. Services were not stopped.`,
    );
  }
  warnings.push(...notBuiltWarnings(facts.indexes), ...driftWarnings(facts.drifted));
  warnings.push(...notComparedWarnings(facts.notCompared));
  warnings.push(...terminatedWarnings(facts.indexes));
  return warnings;
}
