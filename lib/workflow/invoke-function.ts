import { Aws, Duration } from 'aws-cdk-lib';
import { type TaskInput, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { FunctionName } from '../functions/function-names.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import { RawTaskState } from './raw-task-state.ts';
import { IDLE_FUNCTION_RETRY, LAMBDA_RETRY, THROTTLED_INVOCATION_RETRY } from './retry-and-catch.ts';

export interface InvokeFunctionProps {
  function: FunctionName;
  payload: TaskInput;
  /** Path of the function's result. @default it becomes the whole output of the state */
  resultPath?: string;
  /** Path and selected fields of Lambda's response, instead of `resultPath`. */
  result?: { path: string; selector: Record<string, unknown> };
  comment: string;
}

/**
 * A state that invokes the current version of a function of the workflow. It retries errors of Lambda itself and has a time
 * limit.
 *
 * The CDK's class for this integration would allow this version only, and the next update of the stack would take the
 * permission from the executions that are running.
 */
export function invokeFunction(
  scope: Construct,
  id: string,
  functions: WorkflowFunctions,
  props: InvokeFunctionProps,
): RawTaskState {
  const state = new RawTaskState(scope, id, {
    comment: props.comment,
    resource: `arn:${Aws.PARTITION}:states:::lambda:invoke`,
    parameters: {
      FunctionName: functions.versions[props.function].functionArn,
      Payload: props.payload.value,
    },
    policies: [functions.mayInvoke(props.function)],
    // Longer than the function's own time limit, because the function's time-out error says more.
    taskTimeout: Timeout.duration(functions.timeouts[props.function].plus(Duration.seconds(30))),
    ...outputOf(props),
  });
  state.addRetry(THROTTLED_INVOCATION_RETRY);
  state.addRetry(LAMBDA_RETRY);
  state.addRetry(IDLE_FUNCTION_RETRY);
  return state;
}

function outputOf({ resultPath, result }: InvokeFunctionProps) {
  if (result !== undefined) return { resultSelector: result.selector, resultPath: result.path };
  if (resultPath !== undefined) return { resultSelector: { 'output.$': '$.Payload' }, resultPath };
  return { outputPath: '$.Payload' };
}
