import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import type { Environment, EnvironmentInput } from '../../lib/config/environment-config.ts';
import { DEMO_SERVICES, localDemoServices } from '../../lib/local/demo-services.ts';
import type { EngineClock, EngineEvent, Refuse } from '../../lib/local/engine.ts';
import { type LocalEnvironmentOptions, localEnvironment } from '../../lib/local/local-environment.ts';
import { LocalWorkflow, type LocalWorkflowOptions } from '../../lib/local/local-workflow.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { asDeployRole } from './deploy-role.ts';
import { type Migrations, writeMigrations } from './migration-files.ts';

export interface TestWorkflowOptions {
  /** Of a superuser, or of the role that deploys. */
  databaseUrl: string;
  /** Deploys as the superuser of the URL. @default as a role with the least privileges: see deploy-role.ts */
  asSuperuser?: boolean;
  indexes: IndexEntry[];
  /** File name (without .sql) to SQL. @default none */
  migrations?: Migrations;
  /** @default as in AWS */
  migrationLimits?: { lockTimeoutSeconds: number; attempts: number };
  /** Another migration runner than sql. @default sql, or none */
  runner?: EnvironmentInput['migrations'];
  /** @default the demo's services */
  services?: 'demo' | 'none';
  builds?: Omit<LocalEnvironmentOptions, 'migrations' | 'services'>;
  /** Shortens the timeout of every function to this, in seconds. @default as in AWS */
  lambdaSeconds?: number;
  /** Replaces values of the environment. */
  environment?: Partial<Environment>;
  /** Resources of the local AWS, in addition to the demo's services or instead of them. */
  aws?: Partial<
    Pick<
      LocalWorkflowOptions,
      | 'services'
      | 'rules'
      | 'mappings'
      | 'schedules'
      | 'customFunctions'
      | 'tasks'
      | 'migrationFunction'
      | 'delivery'
      | 'coldStart'
      | 'stopTimeoutSeconds'
      | 'clock'
    >
  >;
  /** The clock of Wait states and of the pauses before retries. @default the real time */
  engineClock?: EngineClock;
  /** Refuses calls before they reach the service. @default none */
  refuse?: Refuse;
  /** How many reads of an execution do not show its start or its end yet. @default 0 */
  staleReads?: number;
  /** Called for each event. */
  onEvent?: (event: EngineEvent) => void;
  /** File with the state of the local AWS, if it is used after this workflow. @default a temporary file */
  stateFile?: string;
}

export interface TestWorkflow {
  readonly workflow: LocalWorkflow;
  readonly events: EngineEvent[];
  /** Runs `deploy`. @returns its status and its report */
  deploy(input?: unknown): Promise<{ status: string; cause: string | undefined; report: Report }>;
  /** The log lines of the functions. */
  readonly log: string[];
  /** The number of processes of each demo service. */
  running(): Record<string, number>;
  /** The messages published to the topic, in order. */
  readonly alerts: { Subject?: string; Message: string }[];
  /** @param tasks leave: the services' processes continue, as after a killed run @default stop */
  close(tasks?: 'stop' | 'leave'): Promise<void>;
}

/** Opens the synthesised workflow for a test database. The demo's services are running and connected. */
export async function openTestWorkflow(options: TestWorkflowOptions): Promise<TestWorkflow> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
  const services = options.services === 'none' ? [] : DEMO_SERVICES;
  const events: EngineEvent[] = [];
  const log: string[] = [];
  const workflow = await LocalWorkflow.open({
    databaseUrl: options.asSuperuser ? options.databaseUrl : asDeployRole(options.databaseUrl),
    projectRoot: folder,
    registry: await compileRegistry(options.indexes, 'the test'),
    environment: {
      ...localEnvironment({
        migrations:
          options.runner ??
          (options.migrations === undefined
            ? 'none'
            : {
                runner: 'sql',
                directory: writeMigrations(folder, options.migrations),
                ...options.migrationLimits,
              }),
        services,
        lockTimeoutSeconds: 3,
        maxPauseSeconds: 1,
        ...options.builds,
      }),
      ...options.environment,
    },
    services: services.length === 0 ? [] : localDemoServices(options.databaseUrl),
    ...options.aws,
    stateFile: options.stateFile ?? join(folder, 'aws.json'),
    ...(options.lambdaSeconds === undefined ? {} : { lambdaSeconds: options.lambdaSeconds }),
    ...(options.engineClock && { engineClock: options.engineClock }),
    ...(options.refuse && { refuse: options.refuse }),
    ...(options.staleReads !== undefined && { staleReads: options.staleReads }),
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
    onLog: (name, line) => log.push(`${name} ${line}`),
  });
  await workflow.aws.steady(AbortSignal.timeout(500_000));
  const close = async (tasks: 'stop' | 'leave' = 'stop') => {
    await workflow.close(tasks);
    rmSync(folder, { recursive: true, force: true });
  };
  return {
    workflow,
    events,
    log,
    deploy: async (input = {}) => {
      const { result, summary } = await workflow.start(input).ended;
      if (summary === undefined)
        throw new Error(`No report: ${JSON.stringify(result)}\n${log.slice(-20).join('\n')}`);
      return { status: result.status, cause: result.cause, report: summary.report };
    },
    running: () =>
      Object.fromEntries(
        workflow.aws.state.ecs.services.map((service) => [service.service, service.tasks.length]),
      ),
    get alerts() {
      return [...workflow.aws.state.sns.messages];
    },
    close,
  };
}
