import { type Client, type Database, withClient } from '../postgres/client.ts';
import { withConnectionRetry } from '../postgres/connection-retry.ts';
import { schemaWarnings } from '../postgres/entry-schemas.ts';
import { type Examined, needsWork } from '../postgres/examined-index.ts';
import type { Table } from '../postgres/identifiers.ts';
import { examine } from '../postgres/index-state.ts';
import { LEDGER } from '../postgres/ledger.ts';
import { MIGRATION_ENDS } from '../postgres/migration-ends.ts';
import {
  appliedMigrations,
  historyProblem,
  MIGRATIONS,
  migrationFiles,
  pendingOf,
} from '../postgres/migration-history.ts';
import { MIGRATION_RECORD } from '../postgres/migration-record.ts';
import { resolveRegistry } from '../postgres/resolve-registry.ts';
import { describeSearchPath } from '../postgres/search-path.ts';
import { describeDatabaseError, isConnectionError, sqlstateOf } from '../postgres/sqlstate.ts';
import { refuseUntrustedTables } from '../postgres/trusted-table.ts';
import { BadInput, ConnectionLost, messageOf, Refused } from '../shared/errors.ts';
import { type ExecutionInput, parseExecutionInput } from '../shared/execution-input.ts';
import type { Log } from '../shared/logger.ts';
import { knowsPending, type MigrationRunnerName } from '../shared/migration-runner.ts';
import type { WindowPolicy } from '../shared/online-migrations.ts';
import type { PreflightEvent } from '../shared/preflight-payloads.ts';
import type { PreflightResult } from '../shared/preflight-result.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import { namesOfEntries, requestedIndexes } from '../shared/requested-indexes.ts';
import { counted, headlineOf } from '../shared/text.ts';
import type { ToolMigrations } from '../shared/tool-migrations.ts';
import { type Answer, answerOf } from './asked-runner.ts';
import { checkEntries } from './check-entries.ts';
import { checkMigrationFiles, type ShippedMigrations } from './check-migration-files.ts';
import { checkMigrationLock } from './check-migration-lock.ts';
import { checkObjects } from './check-objects.ts';
import { checkRights } from './check-rights.ts';
import { checkServer } from './check-server.ts';
import { checkVisibility } from './check-visibility.ts';
import { checkWritable } from './check-writable.ts';
import { needsWindow, type OnlineFiles, onlineFilesOf, refusalWithoutWindow } from './needs-window.ts';
import { type RunningDeploy, refusalForLock, refusalForOlder } from './other-deploys.ts';
import { forReport, type RunnerMigrations, runnerMigrations } from './runner-migrations.ts';
import { warnOfLockHolders } from './warn-of-lock-holders.ts';
import { warnOfSuperuser } from './warn-of-superuser.ts';
import { warnOfUnknownDrainRoles, warnOfUnknownRoles } from './warn-of-unknown-roles.ts';
import { warnOfWritableSchemas } from './warn-of-writable-schemas.ts';

interface PreflightIo {
  registry: CompiledRegistry;
  database: Database;
  migrationRunner: MigrationRunnerName;
  /** When a deploy stops the services. */
  window: WindowPolicy;
  /** Null: this environment has no SQL files. */
  migrations: ShippedMigrations | null;
  /** Null: the environment names no tool whose table can be read. */
  toolMigrations: ToolMigrations | null;
  /** Pauses before each further attempt to connect, in milliseconds. The services still run, so there is time. */
  connectPauses: readonly number[];
  /** Lists the running executions of `deploy`. */
  runningDeploys: () => Promise<RunningDeploy[]>;
  /** Whether an execution of `deploy` only plans. */
  isPlan: (executionArn: string) => Promise<boolean>;
  /** Pauses before the list of running deploys is read again, in milliseconds. */
  listPauses: readonly number[];
  /** How a person aborts a running deploy, for the refusal. */
  howToAbort: string;
  /** Names of the application's database roles. Empty: the deploy waits for no sessions of roles. */
  drainRoles: readonly string[];
  log: Log;
}

interface AskedIo extends PreflightIo {
  /** Of the application's own task or function. Null: it was not asked. */
  answer: Answer | null;
}

/** Pauses on Lambda: a network interface that was idle for weeks is ready after some seconds. */
export const CONNECT_PAUSES_MS = [500, 2_000];

/**
 * Decides, before anything is stopped, whether the deploy has work to do and whether it can do it. A refusal is an answer,
 * not an error.
 */
export async function preflight(event: PreflightEvent, io: PreflightIo): Promise<PreflightResult> {
  const warnings: string[] = [];
  const common = {
    deploy: event.execution.name,
    startedAt: event.execution.startedAt,
    warnings,
    online: false,
    notThereYet: [],
  };
  let input: ExecutionInput;
  try {
    input = parseExecutionInput(event.input, io.registry, event.services);
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    return {
      ...common,
      mode: 'deploy',
      decision: 'refused',
      refusal: error.message,
      indexes: [],
      hold: false,
    };
  }
  const hold = input.start === 'hold';
  const taskDefinitions = Object.entries(input.taskDefinitions).map(([name, taskDefinition]) => ({
    name,
    taskDefinition,
  }));
  const answer = {
    ...common,
    mode: input.mode,
    refusal: null,
    indexes: input.indexes,
    hold,
    taskDefinitions,
  };
  const isPlan = input.mode === 'plan';
  const other =
    refusalForLock(event.lock, io.howToAbort) ?? (await refusalForOtherDeploys(event, io, isPlan));
  if (other !== null && !isPlan) return { ...answer, decision: 'refused', refusal: other };
  // Services must start even when the database is down.
  if (input.mode === 'start-services') return { ...answer, decision: 'start-services' };
  const others = other === null ? [] : [other];
  try {
    const decided = await withConnectionRetry(io, async () => {
      // An attempt that lost its connection can have found the same.
      warnings.length = 0;
      return await namingLostConnections(() =>
        decide(input, { ...io, answer: answerOf(event.asked) }, warnings),
      );
    });
    for (const warning of warnings) io.log.warn(headlineOf(warning));
    io.log.info('Preflight finished.', { decision: decided.decision, mode: input.mode });
    decided.planned?.refusals.unshift(...others);
    return { ...answer, ...decided };
  } catch (error) {
    const refusal = messageOf(error);
    io.log.error('Preflight refused the deploy.', { reason: refusal });
    const planned = { decision: null, refusals: others };
    return { ...answer, ...(isPlan && { planned }), decision: 'refused', refusal };
  }
}

async function refusalForOtherDeploys(
  { execution }: PreflightEvent,
  io: PreflightIo,
  isPlan: boolean,
): Promise<string | null> {
  try {
    // A plan does not wait for the end of another deploy.
    return await refusalForOlder(execution, isPlan ? { ...io, listPauses: [] } : io);
  } catch (error) {
    return (
      `It is unknown whether another deploy is running, because Step Functions did not answer: ${messageOf(error)}. The functions ` +
      'need a route to Step Functions: a NAT gateway, or an interface endpoint for the service "states".'
    );
  }
}

/**
 * Decides what to do, or what a deploy would do.
 * @param warnings receives what the report must warn of
 * @throws Refused, in a plan only if it cannot be made
 */
async function decide(
  input: ExecutionInput,
  io: AskedIo,
  warnings: string[],
): Promise<
  Pick<PreflightResult, 'decision' | 'indexes' | 'notThereYet' | 'online' | 'pendingMigrations' | 'planned'>
> {
  return await withClient(io.database, 'preflight', async (client) => {
    await checkServer(client);
    await checkVisibility(client);
    await refuseUntrustedTables(client, tablesOf(io));
    const indexes = await resolveRegistry(client, io.registry);
    checkEntries(indexes, await describeSearchPath(client));
    const names = namesOfEntries(indexes, input.indexes, io.registry);
    warnings.push(...(await schemaWarnings(client, io.registry)));
    const superuser = await warnOfSuperuser(client, indexes, io.migrations !== null);
    if (superuser !== null) warnings.push(superuser);
    warnings.push(...(await warnOfLockHolders(client, indexes)));
    warnings.push(...(await warnOfUnknownRoles(client, io.database.trustedRoles)));
    warnings.push(...(await warnOfUnknownDrainRoles(client, io.drainRoles)));
    warnings.push(...(await warnOfWritableSchemas(client, io.database.trustedRoles)));
    const { requested } = requestedIndexes(indexes, input.indexes);
    const isPlan = input.mode === 'plan';
    const asked: ExecutionInput = isPlan ? { ...input, mode: 'deploy' } : input;
    const isDeploy = asked.mode === 'deploy';
    const refusals: string[] = [];
    const refuse = (reason: string | null) => {
      if (reason === null) return;
      if (!isPlan) throw new Refused(reason);
      refusals.push(reason);
    };
    const unlessRefused = async (check: Promise<void>) => {
      try {
        await check;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refuse(error.message);
      }
    };
    await unlessRefused(checkWritable(client));
    if (isDeploy) await unlessRefused(checkMigrationLock(client));
    const examined = await examine(client, requested, 'work');
    const toDo = examined.filter(needsWork).map((one) => one.index);
    const missing = toDo.filter(({ retired }) => retired === undefined);
    const migrations = await readMigrations(client, io);
    if (isDeploy) {
      refuse(migrations.problem);
      refuse(refusalWithoutWindow(io, asked, migrations));
      if (io.migrations !== null)
        await unlessRefused(checkMigrationFiles(client, io.migrations, migrations.pending));
      if (migrations.warning !== null) warnings.push(migrations.warning);
    }
    const migrationsPending = isDeploy && migrations.may !== 'none';
    const { refusal, warning } = await checkObjects(client, requested, migrations.may);
    refuse(refusal);
    if (warning !== null) warnings.push(warning);
    const unbuildable = describeUnbuildable(examined, migrationsPending);
    // A plan says once what is wrong with an object.
    if (refusal === null) refuse(unbuildable.refusal);
    if (unbuildable.warning !== null) warnings.push(unbuildable.warning);
    if (missing.length > 0) await unlessRefused(checkRights(client, missing));
    const hasWork = missing.length > 0 || (isDeploy && (migrationsPending || input.force));
    // A retired index is looked at, and perhaps dropped, while the services run.
    const mayDrop = missing.length < toDo.length || examined.some(({ state }) => state === 'kept');
    const decision =
      hasWork && needsWindow(io, asked, migrations) ? 'deploy' : hasWork || mayDrop ? 'indexes' : 'nothing';
    return {
      ...(isPlan ? { decision: 'plan', planned: { decision, refusals } } : { decision }),
      online: input.mode === 'deploy' && migrations.online.length > 0,
      indexes: names,
      notThereYet: !isPlan && warning !== null && migrations.may !== 'none' ? [warning] : [],
      ...forReport(io.migrationRunner, migrations),
    };
  });
}

/** The tables that the deploy, and its report, read and write. A migration runner of the application has its own. */
function tablesOf({ migrations }: PreflightIo): Table[] {
  return [LEDGER, MIGRATION_RECORD, MIGRATION_ENDS, ...(migrations === null ? [] : [MIGRATIONS])];
}

interface Migrations extends RunnerMigrations, OnlineFiles {}

async function readMigrations(
  client: Client,
  { migrationRunner, migrations, toolMigrations, window, answer }: AskedIo,
): Promise<Migrations> {
  if (!knowsPending(migrationRunner)) {
    const known = await runnerMigrations(client, toolMigrations, answer);
    return { ...known, online: [], offline: known.pending };
  }
  if (migrations === null)
    return { may: 'none', pending: [], online: [], offline: [], problem: null, warning: null };
  const files = await migrationFiles(migrations.directory);
  const applied = await appliedMigrations(client);
  const pending = pendingOf(applied, files);
  return {
    may: pending.length > 0 ? 'pending' : 'none',
    pending,
    ...(await onlineFilesOf(migrations.directory, pending, window)),
    problem: historyProblem(applied, files),
    warning: null,
  };
}

/**
 * Critical indexes that cannot be built. The deploy would fail after it has stopped the services, so it must be refused, unless a
 * pending migration changes that.
 */
function describeUnbuildable(
  examined: readonly Examined[],
  migrationsPending: boolean,
): Record<'refusal' | 'warning', string | null> {
  const reasons = examined.flatMap(({ index, notBuildable }) =>
    index.critical && notBuildable !== null ? [notBuildable] : [],
  );
  const mayChange = reasons.filter((reason) => migrationsPending && reason.isMigratable === true);
  const refused = reasons.filter((reason) => !mayChange.includes(reason));
  return {
    refusal: refused.length === 0 ? null : listReasons(refused),
    warning:
      mayChange.length === 0
        ? null
        : `Unless a pending migration changes that, the deploy fails: ${listReasons(mayChange)}`,
  };
}

function listReasons(reasons: readonly { readonly message: string }[]): string {
  const more = reasons.length - MOST_REASONS;
  return [
    ...reasons.slice(0, MOST_REASONS).map(({ message }) => message),
    ...(more > 0 ? [`And ${counted(more, 'critical index')} more.`] : []),
  ].join(' ');
}

const MOST_REASONS = 5;

/** @throws ConnectionLost also when the connection is lost after it was opened, for example by a restart of the server */
async function namingLostConnections<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof ConnectionLost || !isConnectionError(error)) throw error;
    throw new ConnectionLost(
      `The database closed the connection while the preflight examined it: ${describeDatabaseError(error)}. ` +
        'Start the deploy again when the database is available.',
      { sqlstate: sqlstateOf(error), cause: error },
    );
  }
}
