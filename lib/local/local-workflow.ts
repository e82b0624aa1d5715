import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { type ReportResult, reportResultSchema } from '../../lambdas/shared/payloads.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { Environment } from '../config/environment.ts';
import { DeployStepStack } from '../deploy-step-stack.ts';
import { type MachineNames, machineNamesOf } from '../workflow/machine-names.ts';
import { LocalAws, type LocalService } from './aws/local-aws.ts';
import { openSfnEndpoint, type SfnEndpoint } from './aws/sfn-endpoint.ts';
import type { RuleState } from './aws/state-file.ts';
import type { LocalTask } from './aws/task-process.ts';
import { type EngineEvent, type ExecutionResult, LocalEngine, type LocalExecution } from './engine.ts';
import { type LambdaFunction, LambdaHost } from './lambda-host.ts';
import { LOCAL_ENVIRONMENT } from './local-environment.ts';
import { readStack } from './synthesise.ts';

export interface LocalWorkflowOptions {
  databaseUrl: string;
  environment: Environment;
  registry: CompiledRegistry;
  /** Folder that the environment's paths are relative to. */
  projectRoot: string;
  /** Services of the local ECS. @default none */
  services?: readonly LocalService[];
  /** EventBridge rules that exist here. @default none */
  rules?: readonly RuleState[];
  /** Event source mappings that exist here. @default none */
  mappings?: readonly { readonly uuid: string; readonly enabled: boolean }[];
  /** Task definitions that exist here, for migrations by the runner ecs-task. @default none */
  tasks?: readonly LocalTask[];
  /**
   * What stands for the function of migrations by the runner lambda: a folder with index.mjs. It is told DATABASE_URL.
   * @default there is no such function
   */
  migrationFunction?: {
    directory: string;
    environment?: Readonly<Record<string, string>>;
    /** @default as in AWS */
    timeoutSeconds?: number;
  };
  /** Where the AWS stand-ins remember. */
  stateFile: string;
  /** Longest that a function may run, in seconds. @default as in AWS */
  lambdaSeconds?: number;
  onEvent?: (event: EngineEvent) => void;
  onLog?: (functionName: string, line: string) => void;
}

/** As long as Lambda lets a function run. */
const LONGEST_FUNCTION_SECONDS = 900;

/** How an execution of `deploy` ended, with its report where it came to one. */
export interface LocalDeploy {
  result: ExecutionResult;
  summary: ReportResult | undefined;
}

/**
 * The workflow on this machine: the stack is synthesised, its definitions run in the local engine, its bundles in
 * sandboxes, and the AWS services that the definitions call have stand-ins.
 */
export class LocalWorkflow {
  readonly machines: MachineNames = machineNamesOf(LOCAL_ENVIRONMENT);
  readonly aws: LocalAws;
  readonly lambdas: LambdaHost;
  readonly engine: LocalEngine;
  readonly #outdir: string;
  readonly #endpoint: SfnEndpoint;
  #reported: ReportResult | undefined;

  /** Synthesises the stack and opens all that its executions need. */
  static async open(options: LocalWorkflowOptions): Promise<LocalWorkflow> {
    const opened: { workflow?: LocalWorkflow } = {};
    const endpoint = await openSfnEndpoint((machineArn) => opened.workflow?.engine.running(machineArn) ?? []);
    try {
      opened.workflow = new LocalWorkflow(options, endpoint);
      return opened.workflow;
    } catch (error) {
      await endpoint.close();
      throw error;
    }
  }

  private constructor(options: LocalWorkflowOptions, endpoint: SfnEndpoint) {
    this.#endpoint = endpoint;
    this.#outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-'));
    const stack = synthesise(this.#outdir, options);
    this.lambdas = new LambdaHost({
      functions: [
        ...stack.functions.map((fn) => toLocal(fn, options, endpoint.url)),
        ...migrationFunctionOf(options),
      ],
      ...(options.onLog && { onLog: options.onLog }),
    });
    this.aws = new LocalAws({
      stateFile: options.stateFile,
      services: options.services ?? [],
      rules: options.rules ?? [],
      mappings: options.mappings ?? [],
      topicArns: stack.topicArns,
      tasks: options.tasks ?? [],
      onTaskLine: ({ family }, line) => options.onLog?.(family, line),
    });
    this.engine = new LocalEngine({
      machines: stack.machines,
      lambdas: this.lambdas,
      aws: this.aws,
      onEvent: (event) => {
        if (event.state === 'Report' && event.type === 'StateExited') this.#noteReport(event);
        options.onEvent?.(event);
      },
    });
  }

  /** Every state of the four definitions, as "machine: State". */
  stateNames(): string[] {
    const prefix = `pg-deploy-step-${LOCAL_ENVIRONMENT}-`;
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

  /** Runs `start-services` by itself, as a person does: with `{}`, or as the recovery rule does: with its reason. */
  async recover(input: unknown = {}): Promise<ExecutionResult> {
    return await this.engine.start(this.machines.startServices, input).result;
  }

  /** Names of services that a deploy stopped and nobody has started yet. */
  get remembered(): string[] {
    return Object.keys(this.aws.state.ssm.parameters)
      .filter((name) => name.includes('/services/'))
      .map((name) => name.split('/').at(-1) ?? name);
  }

  /** Ends the sandboxes and, unless told otherwise, the services' processes. */
  async close(tasks: 'stop' | 'leave' = 'stop'): Promise<void> {
    // An execution that is still at work would call stand-ins that are gone.
    await this.engine.close();
    await this.lambdas.close();
    await this.#endpoint.close();
    await this.aws.close({ tasks });
    rmSync(this.#outdir, { recursive: true, force: true });
  }

  /** Failed executions have no output, so the report is taken where it is made. */
  #noteReport(event: EngineEvent): void {
    this.#reported = reportResultSchema.safeParse(event.output).data;
  }
}

function synthesise(outdir: string, { environment, registry, projectRoot }: LocalWorkflowOptions) {
  // cdk synth and the tests check the template against CloudFormation's rules; here that costs seconds of every run.
  const app = new App({ outdir, analyticsReporting: false, builtinCloudFormationValidation: false });
  const name = `pg-deploy-step-${LOCAL_ENVIRONMENT}`;
  new DeployStepStack(app, name, { environmentName: LOCAL_ENVIRONMENT, environment, registry, projectRoot });
  return readStack(app.synth().getStackByName(name).template, outdir);
}

/** The user's own function, if the environment has one and something stands for it. */
function migrationFunctionOf(options: LocalWorkflowOptions): LambdaFunction[] {
  const { environment, migrationFunction, databaseUrl } = options;
  const { migrations } = environment;
  if (migrations.runner !== 'lambda' || migrationFunction === undefined) return [];
  return [
    {
      name: migrations.function.replace(/^arn:.*:function:/, '').replace(/:.*$/, ''),
      directory: migrationFunction.directory,
      handler: 'index.handler',
      environment: { DATABASE_URL: databaseUrl, ...migrationFunction.environment },
      timeoutSeconds: migrationFunction.timeoutSeconds ?? LONGEST_FUNCTION_SECONDS,
    },
  ];
}

/** What differs from AWS: the functions are told the address instead of its secret, and where Step Functions answers. */
function toLocal(
  fn: LambdaFunction,
  { databaseUrl, lambdaSeconds }: LocalWorkflowOptions,
  sfnUrl: string,
): LambdaFunction {
  const { DATABASE_SECRET_ARN: _secret, NODE_EXTRA_CA_CERTS: _authorities, ...environment } = fn.environment;
  return {
    ...fn,
    timeoutSeconds: Math.min(fn.timeoutSeconds, lambdaSeconds ?? fn.timeoutSeconds),
    environment: {
      ...environment,
      DATABASE_URL: databaseUrl,
      AWS_ENDPOINT_URL_SFN: sfnUrl,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    },
  };
}
