import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_SERVICES, localDemoServices } from '../local/demo-services.ts';
import { startEmbeddedPostgres } from '../local/embedded-postgres.ts';
import type { EngineEvent } from '../local/engine.ts';
import { LOCAL_ENVIRONMENT, localEnvironment } from '../local/local-environment.ts';
import { LocalWorkflow } from '../local/local-workflow.ts';
import { watchBuilds } from '../local/watch-builds.ts';
import { machineNamesOf } from '../config/machine-names.ts';
import { COMMAND_MIGRATIONS, commandTask, LastLines } from './migration-command.ts';
import { createProgressView, type ProgressView } from './progress/view.ts';
import type { RunSettings } from './run-settings.ts';
import { forgetStateFile, stateFileOf } from './state-place.ts';

/** The database to run against: the given one, or an embedded server that ends with the run. @returns its address */
export async function openDatabase(
  { databaseUrl }: RunSettings,
  parts: AsyncDisposableStack,
  say: (line: string) => void,
): Promise<string> {
  if (databaseUrl !== null) return databaseUrl;
  say('Starting embedded PostgreSQL …');
  const postgres = await startEmbeddedPostgres();
  parts.defer(() => postgres.stop());
  return postgres.url();
}

export interface OpenedWorkflow {
  readonly workflow: LocalWorkflow;
  /** Where the functions' lines go; there is none before the first of them. */
  readonly logFile: string;
  /** What the migration's command wrote last. */
  readonly lastLines: LastLines;
  /** Names who is told of the events. */
  readonly observe: (onEvent: (event: EngineEvent) => void) => void;
}

/** The synthesised workflow, with the demo's services where they are asked for. */
export async function openWorkflow(
  databaseUrl: string,
  settings: RunSettings,
  parts: AsyncDisposableStack,
): Promise<OpenedWorkflow> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-run-'));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const withServices = settings.services === 'demo';
  // What is left stopped in a database that stays is remembered for the next run with --mode start-services.
  const keeps = withServices && settings.databaseUrl !== null;
  const stateFile = keeps ? stateFileOf(databaseUrl) : join(folder, 'aws.json');
  const logFile = join(tmpdir(), `pg-deploy-step-${process.pid}.log`);
  const command = settings.migrationCommand;
  const lastLines = new LastLines();
  let onEvent: (event: EngineEvent) => void = () => undefined;
  const workflow = await LocalWorkflow.open({
    databaseUrl,
    registry: settings.registry,
    projectRoot: process.cwd(),
    environment: localEnvironment({
      ...settings.builds,
      migrations: command === null ? settings.migrations : COMMAND_MIGRATIONS,
      services: withServices ? DEMO_SERVICES : [],
    }),
    services: withServices ? localDemoServices(databaseUrl) : [],
    tasks: command === null ? [] : [commandTask(command, databaseUrl)],
    stateFile,
    onEvent: (event) => onEvent(event),
    onLog: (name, line) => {
      appendFileSync(logFile, `${name} ${line}\n`);
      lastLines.add(name, line);
    },
  });
  parts.defer(async () => {
    await workflow.close();
    if (keeps && workflow.servicesWithSavedState.length === 0) forgetStateFile(stateFile);
  });
  return {
    workflow,
    logFile,
    lastLines,
    observe: (observer) => {
      onEvent = observer;
    },
  };
}

/** The picture in a terminal, plain lines elsewhere. */
export function openView(
  databaseUrl: string,
  { registry }: RunSettings,
  stream: NodeJS.WriteStream,
  parts: AsyncDisposableStack,
): ProgressView {
  const interactive = stream.isTTY === true && process.env.CI === undefined && process.env.TERM !== 'dumb';
  const builds = interactive ? parts.adopt(watchBuilds(databaseUrl), (watch) => watch.close()) : undefined;
  const view = createProgressView({
    stream,
    registry,
    machines: machineNamesOf(LOCAL_ENVIRONMENT),
    interactive,
    ...(builds && { readBuilds: () => builds.read() }),
  });
  return parts.adopt(view, (opened) => opened.close());
}
