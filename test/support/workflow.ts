import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import type { Environment, EnvironmentInput } from '../../lib/config/environment-config.ts';
import { DEMO_SERVICES, localDemoServices } from '../../lib/local/demo-services.ts';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { type LocalEnvironmentOptions, localEnvironment } from '../../lib/local/local-environment.ts';
import { LocalWorkflow, type LocalWorkflowOptions } from '../../lib/local/local-workflow.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { type Migrations, writeMigrations } from './migrations.ts';

export interface TestWorkflowOptions {
  databaseUrl: string;
  indexes: IndexEntry[];
  /** File name (without .sql) to SQL. @default none */
  migrations?: Migrations;
  /** Who runs the migrations, instead. @default sql, or none */
  runner?: EnvironmentInput['migrations'];
  /** @default the demo's services */
  services?: 'demo' | 'none';
  builds?: Omit<LocalEnvironmentOptions, 'migrations' | 'services'>;
  /** Longest that a function may run, in seconds. @default as in AWS */
  lambdaSeconds?: number;
  /** Overrides of the environment. */
  environment?: Partial<Environment>;
  /** What exists in the local AWS beside, or instead of, the demo's services. */
  aws?: Partial<
    Pick<LocalWorkflowOptions, 'services' | 'rules' | 'mappings' | 'tasks' | 'migrationFunction'>
  >;
  /** Told of each event as it happens. */
  onEvent?: (event: EngineEvent) => void;
  /** Where AWS remembers, to outlive this workflow. @default a file that goes with it */
  stateFile?: string;
}

export interface TestWorkflow {
  readonly workflow: LocalWorkflow;
  readonly events: EngineEvent[];
  /** Runs `deploy` and gives its report. */
  deploy(input?: unknown): Promise<{ status: string; cause: string | undefined; report: Report }>;
  /** Lines that the functions wrote. */
  readonly log: string[];
  /** Processes alive of each demo service. */
  running(): Record<string, number>;
  /** What the topic was told, in order. */
  readonly alerts: { Subject?: string; Message: string }[];
  /** @param tasks leave: the services' processes go on, as when the run is killed @default stop */
  close(tasks?: 'stop' | 'leave'): Promise<void>;
}

/** The synthesised workflow against a database of the test server, with the demo's services steady. */
export async function openTestWorkflow(options: TestWorkflowOptions): Promise<TestWorkflow> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));
  const services = options.services === 'none' ? [] : DEMO_SERVICES;
  const events: EngineEvent[] = [];
  const log: string[] = [];
  const workflow = await LocalWorkflow.open({
    databaseUrl: options.databaseUrl,
    projectRoot: folder,
    registry: await compileRegistry(options.indexes, 'the test'),
    environment: {
      ...localEnvironment({
        migrations:
          options.runner ??
          (options.migrations === undefined ? 'none' : writeMigrations(folder, options.migrations)),
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
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
    onLog: (name, line) => log.push(`${name} ${line}`),
  });
  await workflow.aws.steady(AbortSignal.timeout(110_000));
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
