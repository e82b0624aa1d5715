import { appendFileSync } from 'node:fs';
import { machineNamesOf } from '../../config/machine-names.ts';
import { DEMO_SERVICES, localDemoServices } from '../../local/demo-services.ts';
import { startEmbeddedPostgres } from '../../local/embedded-postgres.ts';
import type { EngineEvent } from '../../local/engine.ts';
import { LOCAL_ENVIRONMENT, localEnvironment } from '../../local/local-environment.ts';
import { LocalWorkflow } from '../../local/local-workflow.ts';
import { watchBuilds } from '../../local/watch-builds.ts';
import { createProgressView, type ProgressView } from '../progress/progress-view.ts';
import { deleteStateFile, type RunContext } from './run-context.ts';
import { LastLines, SHELL_MIGRATIONS, shellTask } from './shell-migrations.ts';

/** Opens the target: the database of the settings, or an embedded server that stops with the run. @returns its URL */
export async function openDatabase({ settings, output, resources }: RunContext): Promise<string> {
  if (settings.databaseUrl !== null) return settings.databaseUrl;
  output.print('Starting embedded PostgreSQL …');
  const postgres = await startEmbeddedPostgres();
  resources.defer(() => postgres.stop());
  return postgres.url();
}

interface OpenedWorkflow {
  readonly workflow: LocalWorkflow;
  /** The last output of the migration command. */
  readonly lastLines: LastLines;
  /** Sets the receiver of the engine's events. */
  readonly observe: (onEvent: (event: EngineEvent) => void) => void;
}

/** Synthesises the workflow, with the demo services if the settings include them. */
export async function openWorkflow(
  { settings, paths, resources }: RunContext,
  databaseUrl: string,
): Promise<OpenedWorkflow> {
  const withServices = settings.services === 'demo';
  const command = settings.migrationCommand;
  const lastLines = new LastLines();
  let onEvent: (event: EngineEvent) => void = () => undefined;
  const workflow = await LocalWorkflow.open({
    databaseUrl,
    registry: settings.registry,
    projectRoot: process.cwd(),
    environment: localEnvironment({
      ...settings.builds,
      migrations: command === null ? settings.migrations : SHELL_MIGRATIONS,
      services: withServices ? DEMO_SERVICES : [],
    }),
    services: withServices ? localDemoServices(databaseUrl) : [],
    tasks: command === null ? [] : [shellTask(command, databaseUrl)],
    stateFile: paths.stateFile,
    onEvent: (event) => onEvent(event),
    onLog: (name, line) => {
      appendFileSync(paths.logFile, `${name} ${line}\n`);
      lastLines.add(name, line);
    },
  });
  resources.defer(async () => {
    await workflow.close();
    if (paths.keepsState && workflow.servicesWithSavedState.length === 0) deleteStateFile(paths);
  });
  return {
    workflow,
    lastLines,
    observe: (observer) => {
      onEvent = observer;
    },
  };
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
    machines: machineNamesOf(LOCAL_ENVIRONMENT),
    interactive,
    ...(builds && { readBuilds: () => builds.read() }),
  });
  return resources.adopt(view, (opened) => opened.close());
}
