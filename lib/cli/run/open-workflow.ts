import { visible } from '../../../lambdas/shared/visible-text.ts';
import { DEMO_SERVICES, localDemoServices } from '../../local/demo-services.ts';
import { startEmbeddedPostgres } from '../../local/embedded-postgres.ts';
import { LOCAL_NAMES, localEnvironment } from '../../local/local-environment.ts';
import { LocalWorkflow } from '../../local/local-workflow.ts';
import { otherRunOf, RunLock } from '../../local/run-lock.ts';
import { watchBuilds } from '../../local/watch-builds.ts';
import { createProgressView, type ProgressView } from '../progress/progress-view.ts';
import type { ServicesNow } from './interrupt-texts.ts';
import { copyStateFile, deleteStateFile, type RunContext, type RunSettings } from './run-context.ts';
import { LastLines, SHELL_MIGRATIONS, shellTask } from './shell-migrations.ts';

/** Opens the target: the database of the settings, or an embedded server that stops with the run. @returns its URL */
export async function openDatabase({ settings, output, resources }: RunContext): Promise<string> {
  if (settings.databaseUrl !== null) return settings.databaseUrl;
  output.print('Starting embedded PostgreSQL …');
  const postgres = await startEmbeddedPostgres();
  resources.defer(() => postgres.stop());
  return postgres.url();
}

/**
 * Acquires the lock that allows one run at a time on a database, and holds it to the end of the run.
 * @returns null for a plan, which changes nothing and so needs no lock: it only looks for another run
 */
export async function openLock(
  { settings, output, resources }: RunContext,
  databaseUrl: string,
): Promise<OpenedLock | null> {
  if (settings.input.mode === 'plan' && settings.seed === 'none') return null;
  let warn = output.print;
  const onTaken = (by: { name: string }) =>
    warn(
      `Warning: the connection that locks the database against other runs was lost, and another run has started since: ${by.name}. This run continues.`,
    );
  const lock = resources.use(
    await RunLock.open({ databaseUrl, trustedRoles: settings.database.trustedRoles ?? [], onTaken }),
  );
  if (lock.notPossible !== null) {
    output.print(
      `Warning: this run cannot lock the database against other runs, because ${lock.notPossible}. Do not start another run until it ends.`,
    );
  }
  if (lock.ignored.length > 0) {
    output.print(
      `Warning: the lock of the runs on this database is held by ${lock.ignored.join(', ')}. Its role is not trusted, so this run ignores it. If it deploys too, name the role with --trusted-role.`,
    );
  }
  return {
    lock,
    warnWith: (print) => {
      warn = print;
    },
  };
}

interface OpenedLock {
  readonly lock: RunLock;
  /** Sets where the lock reports that it was lost. */
  readonly warnWith: (print: (line: string) => void) => void;
}

export interface OpenedWorkflow {
  readonly workflow: LocalWorkflow;
  /** The last output of the migration command. */
  readonly lastLines: LastLines;
  /** Sets the receiver of the engine's events and of the lines in the logs of the functions. */
  readonly observe: (observer: Pick<ProgressView, 'onEvent' | 'onLog'>) => void;
  /** The services at this moment, for an interrupt. */
  readonly servicesNow: () => ServicesNow;
}

/** Two roles of one database. */
interface WorkflowUrls {
  /** Of the role that deploys. */
  readonly databaseUrl: string;
  /** Of the demo services. */
  readonly servicesUrl: string;
}

/**
 * Synthesises the workflow, with the demo services if the settings include them.
 * @param lock null for a plan
 */
export async function openWorkflow(
  { settings, paths, log, resources }: RunContext,
  { databaseUrl, servicesUrl }: WorkflowUrls,
  lock: RunLock | null,
): Promise<OpenedWorkflow> {
  const withServices = settings.services === 'demo';
  const runsServices = withServices && mayRunServices(settings, lock);
  const isPlan = settings.input.mode === 'plan';
  // A plan shows what an earlier run has left, and writes nothing to its file.
  if (isPlan && withServices) copyStateFile(paths);
  const command = settings.migrationCommand;
  const lastLines = new LastLines();
  let observer: Pick<ProgressView, 'onEvent' | 'onLog'> | undefined;
  let hasStopped = false;
  const workflow = await LocalWorkflow.open({
    databaseUrl,
    registry: settings.registry,
    projectRoot: process.cwd(),
    environment: localEnvironment({
      ...settings.builds,
      ...settings.database,
      migrations: command === null ? settings.migrations : SHELL_MIGRATIONS,
      services: withServices ? DEMO_SERVICES : [],
    }),
    services: withServices && (runsServices || isPlan) ? localDemoServices(servicesUrl) : [],
    runsTasks: runsServices,
    tasks: command === null ? [] : [shellTask(command, databaseUrl)],
    stateFile: runsServices ? paths.stateFile : paths.temporaryStateFile,
    otherRun: async () =>
      lock === null
        ? await otherRunOf({ databaseUrl, trustedRoles: settings.database.trustedRoles ?? [] })
        : await lock.check(),
    onEvent: (event) => {
      hasStopped ||= workflow.servicesWithSavedState.length > 0;
      observer?.onEvent(event);
    },
    onLog: (name, line) => {
      // A migration command can write anything, and people read the log in a terminal. JSON lines stay valid.
      const shown = visible(line);
      log.write(`${name} ${shown}`);
      lastLines.add(name, shown);
      if (name === `${LOCAL_NAMES.stack}-build-index`) observer?.onLog(shown);
    },
  });
  resources.defer(async () => {
    await workflow.close();
    if (runsServices && paths.keepsState && workflow.servicesWithSavedState.length === 0)
      deleteStateFile(paths);
  });
  return {
    workflow,
    lastLines,
    observe: (given) => {
      observer = given;
    },
    servicesNow: () => {
      const stopped = workflow.servicesWithSavedState;
      hasStopped ||= stopped.length > 0;
      return { none: !withServices, stopped, hasStopped, leftStopped: workflow.areServicesLeftStopped };
    },
  };
}

/**
 * A run that another run refuses, and a plan, must not change the services: the other run may have stopped them, and both
 * can have the same state file.
 */
export function mayRunServices({ input }: RunSettings, lock: RunLock | null): boolean {
  return input.mode !== 'plan' && lock?.other == null;
}

/** Opens the progress view: a live picture in a terminal, plain lines elsewhere. */
export function openView({ settings, output, resources }: RunContext, databaseUrl: string): ProgressView {
  const { stream } = output;
  const interactive = stream.isTTY === true && process.env.CI === undefined && process.env.TERM !== 'dumb';
  const builds = interactive
    ? resources.adopt(watchBuilds(databaseUrl), (watch) => watch.close())
    : undefined;
  const view = createProgressView({
    stream,
    registry: settings.registry,
    machines: LOCAL_NAMES.machines,
    interactive,
    ...(builds && { readBuilds: () => builds.read() }),
  });
  return resources.adopt(view, (opened) => opened.close());
}
