import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { App, cx_api as cxapi } from 'aws-cdk-lib';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { type ReportResult, reportResultSchema } from '../../lambdas/shared/report-result.ts';
import { type Report, reportSchema } from '../../lambdas/shared/report-schema.ts';
import type { Environment } from '../config/environment-config.ts';
import { pendingToolOf } from '../config/pending-config.ts';
import type { MachineNames } from '../config/resource-names.ts';
import { EnvironmentStack } from '../constructs/environment-stack.ts';
import { createTemporaryFolder } from '../files/temporary-folder.ts';
import { migrationsToShip } from '../functions/ship-migrations.ts';
import { toolMigrationsToShip } from '../functions/ship-tool-migrations.ts';
import { markerName } from '../workflow/services/saved-state.ts';
import { DEPLOY } from '../workflow/state-names.ts';
import type { Clock } from './aws/clock.ts';
import { LocalAws, type LocalService } from './aws/local-aws.ts';
import type { LocalSchedule } from './aws/scheduler.ts';
import { openSfnEndpoint, type RunningExecution, type SfnEndpoint } from './aws/sfn-endpoint.ts';
import type { RuleState } from './aws/state-file.ts';
import type { LocalTask } from './aws/task-process.ts';
import {
  type EngineClock,
  type EngineEvent,
  type ExecutionResult,
  LocalEngine,
  type LocalExecution,
  type Refuse,
} from './engine.ts';
import { type Delivery, LambdaHost } from './lambda-host.ts';
import type { LambdaFunction } from './lambda-sandbox.ts';
import { LOCAL_ENVIRONMENT, LOCAL_NAMES } from './local-environment.ts';
import { PublishedVersions } from './published-versions.ts';
import { readStack, type SynthesisedStack } from './read-stack.ts';
import { RetainedPolicies } from './retained-policies.ts';
import type { OtherRun } from './run-lock.ts';

export interface LocalWorkflowOptions {
  databaseUrl: string;
  environment: Environment;
  registry: CompiledRegistry;
  /** Folder to which the environment's paths are relative. */
  projectRoot: string;
  /** Services of the local ECS. @default none */
  services?: readonly LocalService[];
  /** Whether their tasks are started, stopped and replaced. False: the services are only described. @default true */
  runsTasks?: boolean;
  /** EventBridge rules of the local AWS. @default none */
  rules?: readonly RuleState[];
  /** Event source mappings of the local AWS. @default none */
  mappings?: readonly { readonly uuid: string; readonly enabled: boolean }[];
  /** Schedules of EventBridge Scheduler of the local AWS. @default none */
  schedules?: readonly LocalSchedule[];
  /** The functions of services of the kind custom. @default none */
  customFunctions?: readonly CustomFunction[];
  /** Seconds between SIGTERM and SIGKILL for a task of the local ECS. @default 30, as in ECS */
  stopTimeoutSeconds?: number;
  /** The time of the local ECS. @default the time of this machine */
  clock?: Clock;
  /** Task definitions of the local ECS, for the migration runner ecs-task. @default none */
  tasks?: readonly LocalTask[];
  /** The function that applies the migrations, for the migration runner lambda. @default none */
  migrationFunction?: {
    /** Folder that contains index.mjs. */
    directory: string;
    /** The function's own variables. It gets DATABASE_URL too. */
    variables?: Readonly<Record<string, string>>;
    /** @default 900, the limit of Lambda */
    timeoutSeconds?: number;
  };
  /** Finds a run of another process that deploys to the database. @default none */
  otherRun?: () => Promise<OtherRun | null>;
  /** File with the state of the local AWS. */
  stateFile: string;
  /** How often Lambda runs a function for one call. @default once */
  delivery?: (functionName: string) => Delivery;
  /** Resolves when the code of a function begins to run. @default at once */
  coldStart?: (functionName: string) => Promise<void>;
  /** Shortens the timeout of every function to this, in seconds. @default as in AWS */
  lambdaSeconds?: number;
  /** The clock of Wait states and of the pauses before retries. @default the real time */
  engineClock?: EngineClock;
  /** Refuses calls before they reach the service, as a service that throttles does. @default none */
  refuse?: Refuse;
  /** How many reads of an execution do not show its start or its end yet. @default 0 */
  staleReads?: number;
  onEvent?: (event: EngineEvent) => void;
  onLog?: (functionName: string, line: string) => void;
}

/** A function of the user that checks, stops and starts a service. */
export interface CustomFunction {
  /** Name in its ARN. */
  readonly name: string;
  /** Folder that contains index.mjs with the export `handler`. */
  readonly directory: string;
  /** The function's variables. @default none */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Lambda's limit for a function's timeout. */
const MAX_FUNCTION_SECONDS = 900;

/** For the refusal of a run during the run of another process, which is in no console. */
const HOW_TO_ABORT_A_RUN = 'press Ctrl-C where it runs, or end that process with kill and its id';

/** What the marker of a hold contains. */
const OF_HOLD = '"hold":{';

/** The result of an execution of `deploy`, with its whole report. Undefined: it ended before the report. */
export interface LocalDeploy {
  result: ExecutionResult;
  summary: ReportResult | undefined;
}

/**
 * The workflow on this machine. It synthesises the stack, runs the definitions in the local engine and the bundles in
 * sandboxes, and answers the AWS calls of the definitions with the local AWS.
 */
export class LocalWorkflow {
  readonly machines: MachineNames = LOCAL_NAMES.machines;
  readonly aws: LocalAws;
  readonly lambdas: LambdaHost;
  readonly engine: LocalEngine;
  readonly #outdir: string;
  readonly #options: LocalWorkflowOptions;
  readonly #versions = new PublishedVersions();
  readonly #policies = new RetainedPolicies();
  /** Number of updates of the stack. */
  #updates = 0;
  /** The function `report` saves its whole report there: an execution could omit indexes of it. */
  readonly #reportFile: string;
  readonly #endpoint: SfnEndpoint;
  #reported: ReportResult | undefined;

  /** Synthesises the stack and opens everything that its executions use. */
  static async open(options: LocalWorkflowOptions): Promise<LocalWorkflow> {
    const opened: { workflow?: LocalWorkflow } = {};
    const endpoint = await openSfnEndpoint({
      running: async (machineArn) => {
        const own = opened.workflow?.engine.running(machineArn) ?? [];
        const isDeploy = machineArn.endsWith(`:${LOCAL_NAMES.machines.deploy}`);
        const other = isDeploy ? ((await options.otherRun?.()) ?? null) : null;
        return other === null ? own : [asExecution(other, machineArn), ...own];
      },
      describe: (executionArn) => opened.workflow?.engine.describe(executionArn),
    });
    const outdir = createTemporaryFolder('stack');
    try {
      opened.workflow = new LocalWorkflow(options, outdir, endpoint);
      return opened.workflow;
    } catch (error) {
      rmSync(outdir, { recursive: true, force: true });
      await endpoint.close();
      throw error;
    }
  }

  private constructor(options: LocalWorkflowOptions, outdir: string, endpoint: SfnEndpoint) {
    this.#endpoint = endpoint;
    this.#outdir = outdir;
    this.#options = options;
    this.#reportFile = join(outdir, 'report.json');
    const stack = this.#synthesise(options);
    this.lambdas = new LambdaHost({
      functions: this.#functionsOf(stack, options),
      ...(options.onLog && { onLog: options.onLog }),
      ...(options.delivery && { delivery: options.delivery }),
      ...(options.coldStart && { coldStart: options.coldStart }),
    });
    this.aws = new LocalAws({
      stateFile: options.stateFile,
      services: options.services ?? [],
      rules: [...(options.rules ?? []), ...stack.rules],
      mappings: options.mappings ?? [],
      schedules: options.schedules ?? [],
      topicArns: stack.topicArns,
      tasks: options.tasks ?? [],
      ...(options.runsTasks !== undefined && { runsTasks: options.runsTasks }),
      ...(options.stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds: options.stopTimeoutSeconds }),
      ...(options.clock && { clock: options.clock }),
      onTaskLine: ({ family }, line) => options.onLog?.(family, line),
    });
    this.engine = new LocalEngine({
      machines: stack.machines,
      lambdas: this.lambdas,
      aws: this.aws,
      ...(options.engineClock && { clock: options.engineClock }),
      ...(options.refuse && { refuse: options.refuse }),
      ...(options.staleReads !== undefined && { staleReads: options.staleReads }),
      onEvent: (event) => {
        if (event.state === DEPLOY.report && event.type === 'StateExited') this.#keepReport(event);
        options.onEvent?.(event);
      },
    });
  }

  /**
   * Updates the stack, as `cdk deploy` does, also while executions are running: it replaces the definitions, the functions
   * and the roles, and publishes versions.
   */
  update(changes: Partial<Pick<LocalWorkflowOptions, 'environment' | 'registry'>>): void {
    const options = { ...this.#options, ...changes };
    this.#updates += 1;
    const stack = this.#synthesise(options);
    this.lambdas.update(this.#functionsOf(stack, options));
    this.engine.update(stack.machines);
  }

  #synthesise({ environment, registry, projectRoot }: LocalWorkflowOptions): SynthesisedStack {
    const outdir = join(this.#outdir, `cdk.out.${this.#updates}`);
    // The validation takes seconds. `cdk synth` and the tests validate the template.
    const app = new App({
      outdir,
      analyticsReporting: false,
      builtinCloudFormationValidation: false,
      // Nobody reads them here, and the sandboxes run the bundles where they are.
      treeMetadata: false,
      context: { [cxapi.DISABLE_ASSET_STAGING_CONTEXT]: true, [cxapi.DISABLE_METADATA_STACK_TRACE]: true },
    });
    const name = LOCAL_NAMES.stack;
    const { migrations } = environment;
    const pendingTool = 'pending' in migrations ? pendingToolOf(migrations) : null;
    new EnvironmentStack(app, name, {
      environmentName: LOCAL_ENVIRONMENT,
      environment,
      projectRoot,
      files: {
        registry,
        migrations:
          migrations.runner === 'sql'
            ? migrationsToShip(resolve(projectRoot, migrations.directory), environment.database.searchPath)
            : null,
        toolMigrations: pendingTool === null ? null : toolMigrationsToShip(pendingTool, projectRoot),
        notes: [],
        findings: [],
      },
    });
    const template = this.#policies.addTo(app.synth().getStackByName(name).template);
    return readStack(template, outdir, this.#versions);
  }

  #functionsOf(stack: SynthesisedStack, options: LocalWorkflowOptions): LambdaFunction[] {
    const local = { AWS_ENDPOINT_URL_SFN: this.#endpoint.url, WHOLE_REPORT_FILE: this.#reportFile };
    return [
      ...stack.functions.map((fn) => toLocal(fn, options, local)),
      ...migrationFunctionOf(options),
      ...(options.customFunctions ?? []).map(customFunctionOf),
    ];
  }

  /** All states of the four definitions, as "machine: State". */
  stateNames(): string[] {
    const prefix = `${LOCAL_NAMES.stack}-`;
    return this.engine.stateNames().map(({ machine, state }) => `${machine.replace(prefix, '')}: ${state}`);
  }

  /** Starts an execution of `deploy`. */
  start(input: unknown, name?: string): { execution: LocalExecution; ended: Promise<LocalDeploy> } {
    const execution = this.engine.start(this.machines.deploy, input, name === undefined ? {} : { name });
    return {
      execution,
      ended: execution.result.then((result) => ({ result, summary: this.#reported })),
    };
  }

  /** Runs `start-services` alone. The input is `{}`, as in the console, or has a reason, as from the recovery rule. */
  async recover(input: unknown = {}): Promise<ExecutionResult> {
    return await this.engine.start(this.machines.startServices, input).result;
  }

  /** Names of the services with saved state: a deploy stopped them, and they have not been started since. */
  get servicesWithSavedState(): string[] {
    return Object.keys(this.aws.state.ssm.parameters)
      .filter((name) => name.includes('/services/'))
      .map((name) => name.split('/').at(-1) ?? name);
  }

  /** A critical failure left the services stopped, and the recovery respects that. */
  get areServicesLeftStopped(): boolean {
    return this.#marker !== undefined && !this.#marker.includes(OF_HOLD);
  }

  /** A deploy holds the services, and nobody has requested their start. */
  get areServicesHeld(): boolean {
    return this.#marker?.includes(OF_HOLD) === true && !this.#marker.includes('"ended":true');
  }

  get #marker(): string | undefined {
    return this.aws.state.ssm.parameters[markerName(LOCAL_NAMES)]?.Value;
  }

  /**
   * Ends the executions and the sandboxes.
   * @param tasks stop: also end the services' processes; leave: they continue to run
   */
  async close(tasks: 'stop' | 'leave' = 'stop'): Promise<void> {
    // First the executions: they would call a local AWS that is closed.
    await this.engine.close();
    await this.lambdas.close();
    await this.#endpoint.close();
    await this.aws.close({ tasks });
    rmSync(this.#outdir, { recursive: true, force: true });
  }

  /** Keeps the output of the state Report, because a failed execution has no output, with the whole report in it. */
  #keepReport(event: EngineEvent): void {
    const output = reportResultSchema.safeParse(event.output).data;
    this.#reported = output && { ...output, report: this.#wholeReport(output.report) };
  }

  /** The whole report of the same deploy. The report itself if it cannot be read. */
  #wholeReport(report: Report): Report {
    let whole: unknown;
    try {
      whole = JSON.parse(readFileSync(this.#reportFile, 'utf8'));
    } catch {
      return report;
    }
    const parsed = reportSchema.safeParse(whole).data;
    return parsed?.deploy === report.deploy ? parsed : report;
  }
}

/** Shows the run of another process as an execution of `deploy`. It has no ARN. */
function asExecution({ name, startedAt }: OtherRun, machineArn: string): RunningExecution {
  return { arn: '', name, machineArn, startedAt: startedAt ?? Date.now() };
}

/** The application's migration function, if the environment uses the runner lambda. */
function migrationFunctionOf(options: LocalWorkflowOptions): LambdaFunction[] {
  const { environment, migrationFunction, databaseUrl } = options;
  const { migrations } = environment;
  if (migrations.runner !== 'lambda' || migrationFunction === undefined) return [];
  return [
    {
      name: migrations.function.replace(/^arn:.*:function:/, '').replace(/:.*$/, ''),
      directory: migrationFunction.directory,
      handler: 'index.handler',
      variables: { DATABASE_URL: databaseUrl, ...migrationFunction.variables },
      timeoutSeconds: migrationFunction.timeoutSeconds ?? MAX_FUNCTION_SECONDS,
    },
  ];
}

function customFunctionOf({ name, directory, variables = {} }: CustomFunction): LambdaFunction {
  return { name, directory, handler: 'index.handler', variables, timeoutSeconds: MAX_FUNCTION_SECONDS };
}

/** Changes a function's variables: the database URL replaces the secret, and Step Functions has a local endpoint. */
function toLocal(
  fn: LambdaFunction,
  { databaseUrl, lambdaSeconds, otherRun }: LocalWorkflowOptions,
  localVariables: Readonly<Record<string, string>>,
): LambdaFunction {
  const { DATABASE_SECRET_ARN: _secret, NODE_EXTRA_CA_CERTS: _authorities, ...variables } = fn.variables;
  return {
    ...fn,
    timeoutSeconds: Math.min(fn.timeoutSeconds, lambdaSeconds ?? fn.timeoutSeconds),
    variables: {
      ...variables,
      DATABASE_URL: databaseUrl,
      ...localVariables,
      ...(otherRun && { HOW_TO_ABORT: HOW_TO_ABORT_A_RUN }),
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    },
  };
}
