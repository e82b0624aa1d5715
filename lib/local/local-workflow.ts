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
  /** Where the AWS stand-ins remember. */
  stateFile: string;
  /** Longest that a function may run, in seconds. @default as in AWS */
  lambdaSeconds?: number;
  onEvent?: (event: EngineEvent) => void;
  onLog?: (functionName: string, line: string) => void;
}

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
  #reported: ReportResult | undefined;

  constructor(options: LocalWorkflowOptions) {
    this.#outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-'));
    const stack = synthesise(this.#outdir, options);
    this.lambdas = new LambdaHost({
      functions: stack.functions.map((fn) => toLocal(fn, options)),
      ...(options.onLog && { onLog: options.onLog }),
    });
    this.aws = new LocalAws({
      stateFile: options.stateFile,
      services: options.services ?? [],
      topicArns: stack.topicArns,
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

  /** Starts an execution of `deploy`. */
  start(input: unknown, name?: string): { execution: LocalExecution; ended: Promise<LocalDeploy> } {
    const execution = this.engine.start(this.machines.deploy, input, name === undefined ? {} : { name });
    return {
      execution,
      ended: execution.result.then((result) => ({ result, summary: this.#reported })),
    };
  }

  /** Runs `start-services` by itself, as the recovery does. */
  async recover(): Promise<ExecutionResult> {
    return await this.engine.start(this.machines.startServices, {}).result;
  }

  /** Names of services that a deploy stopped and nobody has started yet. */
  get remembered(): string[] {
    return Object.keys(this.aws.state.ssm.parameters).map((name) => name.split('/').at(-1) ?? name);
  }

  /** Ends the sandboxes and, unless told otherwise, the services' processes. */
  async close(tasks: 'stop' | 'leave' = 'stop'): Promise<void> {
    // An execution that is still at work would call stand-ins that are gone.
    await this.engine.close();
    await this.lambdas.close();
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

/** The one difference to AWS: the functions are told the address instead of the secret that holds it. */
function toLocal(fn: LambdaFunction, { databaseUrl, lambdaSeconds }: LocalWorkflowOptions): LambdaFunction {
  const { DATABASE_SECRET_ARN: _secret, NODE_EXTRA_CA_CERTS: _authorities, ...environment } = fn.environment;
  const timeoutSeconds = Math.min(fn.timeoutSeconds, lambdaSeconds ?? fn.timeoutSeconds);
  return { ...fn, timeoutSeconds, environment: { ...environment, DATABASE_URL: databaseUrl } };
}
