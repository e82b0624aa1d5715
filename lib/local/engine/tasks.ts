import { randomUUID } from 'node:crypto';
import type { LocalExecution } from '../engine.ts';
import { Aborted, StatesRuntime, TaskError } from './errors.ts';

/** What a Lambda invocation goes to. */
export interface Lambdas {
  readonly functionNames: readonly string[];
  invoke(name: string, payload: unknown): Promise<unknown>;
}

/** What calls of other AWS services go to. */
export interface Services {
  supports(resource: string): boolean;
  /** @param signal aborted when the execution is, or with TimedOut for its reason when the task's time is over */
  call(resource: string, parameters: unknown, signal: AbortSignal): Promise<unknown>;
}

export interface TaskTargets {
  readonly lambdas: Lambdas;
  readonly aws: Services;
  startChild(stateMachineArn: string, input: unknown, name: string | undefined): LocalExecution;
  /** Status of an execution. Undefined: there is none of that ARN. */
  statusOf(executionArn: string): string | undefined;
}

const INVOKE = 'arn:aws:states:::lambda:invoke';
const START_SYNC = 'arn:aws:states:::states:startExecution.sync:2';
const DESCRIBE = 'arn:aws:states:::aws-sdk:sfn:describeExecution';
const FUNCTION_ARN = /^arn:aws:lambda:[^:]*:[^:]*:function:([^:]+)/;

export function isSupported(
  resource: string,
  { lambdas, aws }: Pick<TaskTargets, 'lambdas' | 'aws'>,
): boolean {
  if ([INVOKE, START_SYNC, DESCRIBE].includes(resource) || aws.supports(resource)) return true;
  return FUNCTION_ARN.test(resource) && lambdas.functionNames.includes(functionName(resource));
}

/** Does what a Task state's Resource says, and answers or fails as the service would. */
export async function callTask(
  resource: string,
  parameters: unknown,
  signal: AbortSignal,
  targets: TaskTargets,
): Promise<unknown> {
  if (resource === INVOKE) return invoke(fields(parameters), targets.lambdas);
  if (resource === START_SYNC) return startAndWait(fields(parameters), signal, targets);
  if (resource === DESCRIBE) return describe(fields(parameters), targets);
  if (FUNCTION_ARN.test(resource)) return targets.lambdas.invoke(functionName(resource), parameters);
  return targets.aws.call(resource, parameters, signal);
}

async function invoke(parameters: Readonly<Record<string, unknown>>, lambdas: Lambdas): Promise<unknown> {
  refuseUnknown(parameters, ['FunctionName', 'Payload', 'InvocationType'], INVOKE);
  const { FunctionName, Payload = {}, InvocationType = 'RequestResponse' } = parameters;
  if (typeof FunctionName !== 'string') throw new StatesRuntime('The parameter FunctionName is missing.');
  if (InvocationType !== 'RequestResponse') {
    throw new StatesRuntime(
      `InvocationType ${String(InvocationType)} is not known here, RequestResponse is.`,
    );
  }
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

function describe(parameters: Readonly<Record<string, unknown>>, targets: TaskTargets): unknown {
  refuseUnknown(parameters, ['ExecutionArn'], DESCRIBE);
  const { ExecutionArn } = parameters;
  if (typeof ExecutionArn !== 'string') throw new StatesRuntime('The parameter ExecutionArn is missing.');
  const status = targets.statusOf(ExecutionArn);
  if (status === undefined) {
    throw new TaskError('Sfn.ExecutionDoesNotExistException', `Execution Does Not Exist: '${ExecutionArn}'`);
  }
  return { ExecutionArn, Name: ExecutionArn.split(':').at(-1), Status: status };
}

async function startAndWait(
  parameters: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  targets: TaskTargets,
): Promise<unknown> {
  refuseUnknown(parameters, ['StateMachineArn', 'Input', 'Name'], START_SYNC);
  const { StateMachineArn, Input = {}, Name } = parameters;
  if (typeof StateMachineArn !== 'string')
    throw new StatesRuntime('The parameter StateMachineArn is missing.');
  if (Name !== undefined && typeof Name !== 'string')
    throw new StatesRuntime('The parameter Name must be text.');
  const started = Date.now();
  const child = targets.startChild(StateMachineArn, Input, Name);
  const abort = () => child.abort();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  const { status, output, error, cause } = await child.result;
  signal.removeEventListener('abort', abort);
  if (signal.aborted) throw new Aborted();

  const common = { ExecutionArn: child.arn, Name: child.name, StateMachineArn, Status: status };
  if (status === 'SUCCEEDED') {
    return {
      ...common,
      Input,
      InputDetails: { Included: true },
      Output: output,
      OutputDetails: { Included: true },
      RedriveCount: 0,
      StartDate: started,
      StopDate: Date.now(),
    };
  }
  // A failed child's Input is text, a succeeded one's is not: as AWS has it.
  const answer = {
    ...common,
    ...(cause === undefined ? {} : { Cause: cause }),
    ...(error === undefined ? {} : { Error: error }),
    Input: JSON.stringify(Input),
    InputDetails: { Included: true },
    RedriveCount: 0,
    StartDate: started,
    StopDate: Date.now(),
  };
  throw new TaskError('States.TaskFailed', JSON.stringify(answer));
}

function functionName(nameOrArn: string): string {
  return FUNCTION_ARN.exec(nameOrArn)?.[1] ?? nameOrArn.replace(/:.*$/, '');
}

function fields(parameters: unknown): Readonly<Record<string, unknown>> {
  if (typeof parameters === 'object' && parameters !== null && !Array.isArray(parameters)) {
    return parameters as Readonly<Record<string, unknown>>;
  }
  throw new StatesRuntime('The Parameters of a task must be an object.');
}

function refuseUnknown(
  parameters: Readonly<Record<string, unknown>>,
  known: string[],
  resource: string,
): void {
  const unknown = Object.keys(parameters).filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new StatesRuntime(
      `${resource}: the parameters ${unknown.join(', ')} are not known here; known ones: ${known.join(', ')}.`,
    );
  }
}
