import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ExecutionInput } from '../../lambdas/shared/input.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { Report } from '../../lambdas/shared/report.ts';
import { withoutPassword } from '../local/database-url.ts';
import { DEMO_SERVICES, demoTasks, seedDemo } from '../local/demo.ts';
import { startEmbeddedPostgres } from '../local/embedded-postgres.ts';
import {
  LOCAL_ENVIRONMENT,
  type LocalEnvironmentOptions,
  localEnvironment,
} from '../local/local-environment.ts';
import { type LocalDeploy, LocalWorkflow } from '../local/local-workflow.ts';
import { watchBuilds } from '../local/watch-builds.ts';
import { machineNamesOf } from '../workflow/machine-names.ts';
import { FAILED, SUCCEEDED } from './exit-codes.ts';
import { onInterrupt } from './interrupt.ts';
import { createProgressView, type ProgressView } from './progress/view.ts';
import { summary } from './summary.ts';

export interface RunSettings {
  /** Null: embedded PostgreSQL, which lives as long as the run. */
  databaseUrl: string | null;
  registry: CompiledRegistry;
  /** Folder with SQL files, or "none". */
  migrations: string;
  services: 'demo' | 'none';
  seed: 'demo' | 'none';
  input: ExecutionInput;
  builds: Omit<LocalEnvironmentOptions, 'migrations' | 'services'>;
  reportFile: string | null;
  json: boolean;
}

/** What was opened, closed in the opposite order whatever happens. */
type Closers = (() => Promise<void> | void)[];

/**
 * Runs the workflow on this machine, shows it while it runs and sums it up.
 * @returns the exit code
 */
export async function run(settings: RunSettings): Promise<number> {
  const closers: Closers = [];
  try {
    return await runWith(settings, closers);
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function runWith(settings: RunSettings, closers: Closers): Promise<number> {
  const out = settings.json ? process.stderr : process.stdout;
  const say = (line: string) => out.write(`${line}\n`);
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-run-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));

  const databaseUrl = settings.databaseUrl ?? (await embedded(closers, say));
  if (settings.seed === 'demo') await seed(databaseUrl, say);

  const logFile = join(tmpdir(), `pg-deploy-step-${process.pid}.log`);
  let view: ProgressView | undefined;
  const workflow = new LocalWorkflow({
    databaseUrl,
    registry: settings.registry,
    projectRoot: process.cwd(),
    environment: localEnvironment({
      ...settings.builds,
      migrations: settings.migrations,
      services: settings.services === 'demo' ? DEMO_SERVICES : [],
    }),
    services: settings.services === 'demo' ? demoTasks(databaseUrl) : [],
    stateFile: settings.databaseUrl === null ? join(folder, 'aws.json') : stateFileOf(settings.databaseUrl),
    onEvent: (event) => view?.onEvent(event),
    onLog: (name, line) => appendFileSync(logFile, `${name} ${line}\n`),
  });
  closers.push(async () => {
    // What is left stopped on purpose stays remembered for the next run with --mode start-services.
    await workflow.close();
    if (workflow.remembered.length === 0 && settings.databaseUrl !== null)
      rmSync(stateFileOf(settings.databaseUrl), { force: true });
  });
  if (settings.services === 'demo') {
    say('Starting the demo services …');
    await workflow.aws
      .steady(AbortSignal.timeout(30_000))
      .catch(() => say('They are not up; the deploy goes on.'));
  }

  view = openView(databaseUrl, settings, out, closers);
  const { deploy, interrupted } = await deployOnce(workflow, settings, (line) => view?.note(line));
  await view.close();
  return conclude(deploy, interrupted, settings, logFile, say);
}

async function embedded(closers: Closers, say: (line: string) => void): Promise<string> {
  say('Starting embedded PostgreSQL …');
  const postgres = await startEmbeddedPostgres();
  closers.push(async () => await postgres.stop());
  return postgres.url();
}

async function seed(databaseUrl: string, say: (line: string) => void): Promise<void> {
  say(`Filling the demo database at ${withoutPassword(databaseUrl)} …`);
  const started = Date.now();
  const filled = await seedDemo(databaseUrl);
  say(filled ? `It took ${((Date.now() - started) / 1000).toFixed(1)} s.` : 'It was filled before.');
}

function openView(
  databaseUrl: string,
  settings: RunSettings,
  stream: NodeJS.WriteStream,
  closers: Closers,
): ProgressView {
  const interactive = stream.isTTY === true && process.env.CI === undefined && process.env.TERM !== 'dumb';
  const builds = interactive ? watchBuilds(databaseUrl) : undefined;
  if (builds !== undefined) closers.push(async () => await builds.close());
  const view = createProgressView({
    stream,
    registry: settings.registry,
    machines: machineNamesOf(LOCAL_ENVIRONMENT),
    interactive,
    ...(builds && { readBuilds: async () => await builds.read() }),
  });
  closers.push(async () => await view.close());
  return view;
}

async function deployOnce(
  workflow: LocalWorkflow,
  settings: RunSettings,
  note: (line: string) => void,
): Promise<{ deploy: LocalDeploy; interrupted: boolean }> {
  const { execution, ended } = workflow.start(settings.input, executionName());
  let interrupted = false;
  const release = onInterrupt((times) => {
    interrupted = true;
    if (times > 1) return note('Still starting the services again; they would stay down otherwise.');
    note(
      'Interrupted: the deploy is aborted, the services are started again. Builds that run go on in the database.',
    );
    execution.abort();
  });
  try {
    const deploy = await ended;
    // As the recovery rule does in AWS for an aborted execution.
    if (interrupted) await workflow.recover();
    return { deploy, interrupted };
  } finally {
    release();
  }
}

function conclude(
  deploy: LocalDeploy,
  interrupted: boolean,
  settings: RunSettings,
  logFile: string,
  say: (line: string) => void,
): number {
  const report: Report | undefined = deploy.summary?.report ?? undefined;
  if (report === undefined) {
    say(
      interrupted
        ? 'The deploy was interrupted; the services run again.'
        : `The deploy ended as ${deploy.result.status} without a report. ${deploy.result.cause ?? ''}`,
    );
    say(`The functions' log: ${logFile}`);
    return FAILED;
  }
  say(
    summary(report, {
      colour: !settings.json && process.stdout.isTTY === true,
      startServicesHint: startHint(settings),
    }),
  );
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (settings.reportFile !== null) writeFileSync(settings.reportFile, json);
  if (settings.json) process.stdout.write(json);
  if (report.status === 'succeeded' && !interrupted) {
    rmSync(logFile, { force: true });
    return SUCCEEDED;
  }
  say(`The functions' log: ${logFile}`);
  return FAILED;
}

function startHint(settings: RunSettings): string {
  const url = settings.databaseUrl === null ? '' : ` --database-url ${withoutPassword(settings.databaseUrl)}`;
  return `npm run -s step -- run${url} --services ${settings.services} --mode start-services`;
}

/** The stand-ins' memory outlives a killed run, so it has a fixed place for each database. */
function stateFileOf(databaseUrl: string): string {
  const { host, pathname } = new URL(databaseUrl);
  const key = createHash('sha256').update(`${host}${pathname}`).digest('hex').slice(0, 12);
  return resolve('.pg-deploy-step', `aws-${key}.json`);
}

function executionName(): string {
  return `local-${new Date().toISOString().replace(/[-:]/g, '').replace('.', '-')}`;
}
