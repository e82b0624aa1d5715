import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Actions, action } from '../aws/action.ts';
import { ACCOUNT, functionArn } from '../local-arns.ts';
import { requiredPermissions } from '../required-permission.ts';
import { Aborted, TaskError } from './errors.ts';
import type { LocalExecution } from './execution.ts';

/** Runs Lambda functions. */
export interface Lambdas {
  readonly functionNames: readonly string[];
  /** @param qualifier a version or an alias @default $LATEST */
  invoke(name: string, payload: unknown, qualifier?: string): Promise<unknown>;
}

/** Runs the calls of other AWS services. */
export interface Services {
  supports(resource: string): boolean;
  /** @param signal aborted with the execution, or with the reason TimedOut when the state times out */
  call(resource: string, parameters: unknown, signal: AbortSignal): Promise<unknown>;
}

/**
 * Decides whether a call of a Task state is refused before it reaches the service.
 * @returns the error of the call. Undefined: the call is made
 */
export type Refuse = (resource: string, parameters: unknown) => Error | undefined;

/** What Task states of one execution reach. */
interface TaskTargets {
  readonly refuse: Refuse;
  readonly lambdas: Lambdas;
  readonly aws: Services;
  /** Whether the role of the state machine, as it is now, allows an action. */
  isAllowed(action: string, resource: string): boolean;
  startChild(stateMachineArn: string, input: unknown, name: string | undefined): LocalExecution;
  /** Status of an execution. Undefined: no execution has this ARN. */
  statusOf(executionArn: string): string | undefined;
}

const INVOKE = 'arn:aws:states:::lambda:invoke';
const START_SYNC = 'arn:aws:states:::states:startExecution.sync:2';
const START = 'arn:aws:states:::states:startExecution';
const DESCRIBE = 'arn:aws:states:::aws-sdk:sfn:describeExecution';
const FUNCTION_ARN = /^arn:aws:lambda:[^:]*:[^:]*:function:([^:]+)/;
const VERSION_OF_MACHINE = /(:stateMachine:[^:]+):[^:]+$/;

const invokeSchema = z.strictObject({
  FunctionName: z.string(),
  Payload: z.unknown().optional(),
  InvocationType: z.literal('RequestResponse').optional(),
});
const startSchema = z.strictObject({
  StateMachineArn: z.string(),
  Input: z.unknown().optional(),
  Name: z.string().optional(),
});

export function canCall(resource: string, { lambdas, aws }: Pick<TaskTargets, 'lambdas' | 'aws'>): boolean {
  if ([INVOKE, START_SYNC, START, DESCRIBE].includes(resource) || aws.supports(resource)) return true;
  return FUNCTION_ARN.test(resource) && lambdas.functionNames.includes(functionName(resource));
}

/**
 * Calls what the Resource of a Task state names.
 * @throws the error of the service, as Step Functions names it; StatesRuntime for wrong parameters
 */
export async function call(
  resource: string,
  parameters: unknown,
  signal: AbortSignal,
  targets: TaskTargets,
): Promise<unknown> {
  const refused = targets.refuse(resource, parameters);
  if (refused !== undefined) throw refused;
  const own = ownActions(targets)[resource];
  if (own !== undefined) return await own.run(parameters, signal);
  if (FUNCTION_ARN.test(resource)) return await invokeFunction(resource, parameters, targets);
  for (const required of requiredPermissions(resource, parameters))
    refuseUnlessAllowed(targets, required.action, required.resource, required.error);
  return await targets.aws.call(resource, parameters, signal);
}

function ownActions(targets: TaskTargets): Actions {
  return Object.fromEntries([
    action(INVOKE, invokeSchema, (parameters) => invoke(parameters, targets)),
    action(START_SYNC, startSchema, (parameters, signal) => startAndWait(parameters, signal, targets)),
    action(START, startSchema, (parameters) => start(parameters, targets)),
    action(DESCRIBE, z.strictObject({ ExecutionArn: z.string() }), ({ ExecutionArn }) => {
      refuseUnlessAllowed(targets, 'states:DescribeExecution', ExecutionArn, 'Sfn.SfnException');
      const Status = targets.statusOf(ExecutionArn);
      if (Status !== undefined) return { ExecutionArn, Name: ExecutionArn.split(':').at(-1), Status };
      const message = `Execution Does Not Exist: '${ExecutionArn}'`;
      throw new TaskError('Sfn.ExecutionDoesNotExistException', message);
    }),
  ]);
}

async function invoke(
  { FunctionName, Payload = {} }: z.output<typeof invokeSchema>,
  targets: TaskTargets,
): Promise<unknown> {
  return {
    ExecutedVersion: qualifierOf(FunctionName) ?? '$LATEST',
    Payload: await invokeFunction(FunctionName, Payload, targets),
    SdkHttpMetadata: { HttpStatusCode: 200 },
    SdkResponseMetadata: { RequestId: randomUUID() },
    StatusCode: 200,
  };
}

async function invokeFunction(nameOrArn: string, payload: unknown, targets: TaskTargets): Promise<unknown> {
  const name = functionName(nameOrArn);
  const qualifier = qualifierOf(nameOrArn);
  const resource = nameOrArn.startsWith('arn:') ? nameOrArn : functionArn(nameOrArn);
  refuseUnlessAllowed(targets, 'lambda:InvokeFunction', resource, 'Lambda.AWSLambdaException');
  if (!targets.lambdas.functionNames.includes(name)) {
    throw new TaskError('Lambda.ResourceNotFoundException', `Function not found: ${nameOrArn}`);
  }
  return await targets.lambdas.invoke(name, payload, qualifier);
}

/**
 * @param error the name that Step Functions gives a refusal in this integration
 * @throws TaskError when the role of the state machine does not allow the action
 */
function refuseUnlessAllowed(targets: TaskTargets, action: string, resource: string, error: string): void {
  if (targets.isAllowed(action, resource)) return;
  throw new TaskError(
    error,
    `User: arn:aws:sts::${ACCOUNT}:assumed-role/local is not authorized to perform: ${action} on resource: ${resource} ` +
      `because no identity-based policy allows the ${action} action (Status Code: 403; Error Code: AccessDeniedException)`,
  );
}

function startChild(
  { StateMachineArn, Input = {}, Name }: z.output<typeof startSchema>,
  targets: TaskTargets,
): LocalExecution {
  // IAM knows state machines without their versions.
  const machineArn = StateMachineArn.replace(VERSION_OF_MACHINE, '$1');
  refuseUnlessAllowed(targets, 'states:StartExecution', machineArn, 'StepFunctions.AccessDeniedException');
  return targets.startChild(StateMachineArn, Input, Name);
}

/** The execution that is started ends by itself, also if the one that starts it is aborted. */
function start(parameters: z.output<typeof startSchema>, targets: TaskTargets): unknown {
  const { arn } = startChild(parameters, targets);
  return { ExecutionArn: arn, StartDate: Date.now() };
}

async function startAndWait(
  parameters: z.output<typeof startSchema>,
  signal: AbortSignal,
  targets: TaskTargets,
): Promise<unknown> {
  const { StateMachineArn, Input = {} } = parameters;
  const StartDate = Date.now();
  const child = startChild(parameters, targets);
  const abort = () => child.abort();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  const { status, output, error, cause } = await child.result;
  signal.removeEventListener('abort', abort);
  if (signal.aborted) throw new Aborted();

  const common = {
    ...{ ExecutionArn: child.arn, Name: child.name, StateMachineArn, Status: status },
    ...{ InputDetails: { Included: true }, RedriveCount: 0, StartDate, StopDate: Date.now() },
  };
  if (status === 'SUCCEEDED') {
    return { ...common, Input, Output: output, OutputDetails: { Included: true } };
  }
  // As in AWS, Input is JSON text here. JSON.stringify drops an Error and a Cause that are undefined.
  const failed = { ...common, Input: JSON.stringify(Input), Error: error, Cause: cause };
  throw new TaskError('States.TaskFailed', JSON.stringify(failed));
}

function qualifierOf(nameOrArn: string): string | undefined {
  return /^(?:arn:aws:lambda:[^:]*:[^:]*:function:)?[^:]+:([^:]+)$/.exec(nameOrArn)?.[1];
}

function functionName(nameOrArn: string): string {
  return FUNCTION_ARN.exec(nameOrArn)?.[1] ?? nameOrArn.replace(/:.*$/, '');
}
