import { Duration } from 'aws-cdk-lib';
import { type TaskInput, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { Task } from '../functions/bundle.ts';
import type { TaskFunctions } from '../functions/task-functions.ts';
import { IDLE_FUNCTION_RETRY, LAMBDA_RETRY } from './retry.ts';

export interface InvokeTaskProps {
  task: Task;
  payload: TaskInput;
  /** Where the function's answer goes. Undefined: it becomes the state's whole output. */
  resultPath?: string;
  /** What is made of Lambda's answer, and where it goes, instead. */
  result?: { path: string; selector: Record<string, unknown> };
  comment: string;
}

/** A state that invokes a function of the workflow, with Lambda's own faults retried and a time limit. */
export function invokeTask(
  scope: Construct,
  id: string,
  functions: TaskFunctions,
  props: InvokeTaskProps,
): LambdaInvoke {
  const state = new LambdaInvoke(scope, id, {
    comment: props.comment,
    lambdaFunction: functions.versions[props.task],
    payload: props.payload,
    retryOnServiceExceptions: false,
    // A little more than the function's own limit, whose error says more.
    taskTimeout: Timeout.duration(functions.timeouts[props.task].plus(Duration.seconds(30))),
    ...whereTo(props),
  });
  state.addRetry(LAMBDA_RETRY);
  state.addRetry(IDLE_FUNCTION_RETRY);
  return state;
}

function whereTo({ resultPath, result }: InvokeTaskProps) {
  if (result !== undefined) return { resultSelector: result.selector, resultPath: result.path };
  if (resultPath !== undefined) return { resultSelector: { 'output.$': '$.Payload' }, resultPath };
  return { outputPath: '$.Payload' };
}
