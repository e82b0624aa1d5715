import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Actions, action } from '../aws/action.ts';
import { Aborted, TaskError } from './errors.ts';
import type { LocalExecution } from './execution.ts';

/** Runs Lambda functions. */
export interface Lambdas {
  readonly functionNames: readonly string[];
  invoke(name: string, payload: unknown): Promise<unknown>;
}

/** Runs the calls of other AWS services. */
export interface Services {
  supports(resource: string): boolean;
  /** @param signal aborted with the execution, or with the reason TimedOut when the state times out */
  call(resource: string, parameters: unknown, signal: AbortSignal): Promise<unknown>;
}

/** What Task states of one execution reach. */
interface TaskTargets {
  readonly lambdas: Lambdas;
  readonly aws: Services;
  startChild(stateMachineArn: string, input: unknown, name: string | undefined): LocalExecution;
  /** Status of an execution. Undefined: no execution has this ARN. */
  statusOf(executionArn: string): string | undefined;
}

const INVOKE = 'arn:aws:states:::lambda:invoke';
const START_SYNC = 'arn:aws:states:::states:startExecution.sync:2';
const DESCRIBE = 'arn:aws:states:::aws-sdk:sfn:describeExecution';
const FUNCTION_ARN = /^arn:aws:lambda:[^:]*:[^:]*:function:([^:]+)/;

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
  if ([INVOKE, START_SYNC, DESCRIBE].includes(resource) || aws.supports(resource)) return true;
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
  const own = ownActions(targets)[resource];
  if (own !== undefined) return await own.run(parameters, signal);
  if (FUNCTION_ARN.test(resource)) return await targets.lambdas.invoke(functionName(resource), parameters);
  return await targets.aws.call(resource, parameters, signal);
}

function ownActions(targets: TaskTargets): Actions {
  return Object.fromEntries([
    action(INVOKE, invokeSchema, (parameters) => invoke(parameters, targets.lambdas)),
    action(START_SYNC, startSchema, (parameters, signal) => startAndWait(parameters, signal, targets)),
    action(DESCRIBE, z.strictObject({ ExecutionArn: z.string() }), ({ ExecutionArn }) => {
      const Status = targets.statusOf(ExecutionArn);
      if (Status !== undefined) return { ExecutionArn, Name: ExecutionArn.split(':').at(-1), Status };
      const message = `Execution Does Not Exist: '${ExecutionArn}'`;
      throw new TaskError('Sfn.ExecutionDoesNotExistException', message);
    }),
  ]);
}

async function invoke(parameters: z.output<typeof invokeSchema>, lambdas: Lambdas): Promise<unknown> {
  const { FunctionName, Payload = {} } = parameters;
  const name = functionName(FunctionName);
  if (!lambdas.functionNames.includes(name)) {
    throw new TaskError('Lambda.ResourceNotFoundException', `Function not found: ${FunctionName}`);
  }
  return {
    ExecutedVersion: '$LATEST',
    Payload: await lambdas.invoke(name, Payload),
    SdkHttpMetadata: { HttpStatusCode: 200 },
    SdkResponseMetadata: { RequestId: randomUUID() },
    StatusCode: 200,
  };
}

async function startAndWait(
  { StateMachineArn, Input = {}, Name }: z.output<typeof startSchema>,
  signal: AbortSignal,
  targets: TaskTargets,
): Promise<unknown> {
  const StartDate = Date.now();
  const child = targets.startChild(StateMachineArn, Input, Name);
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

function functionName(nameOrArn: string): string {
  return FUNCTION_ARN.exec(nameOrArn)?.[1] ?? nameOrArn.replace(/:.*$/, '');
}
