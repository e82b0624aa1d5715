import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Environment } from '../config/environment-config.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import { invokeFunction } from './invoke-function.ts';
import { CONNECTION_RETRY } from './retry-and-catch.ts';
import { WINDOW } from './state-names.ts';

export interface DrainSessionsProps {
  functions: WorkflowFunctions;
  drain: NonNullable<Environment['drain']>;
  pollSeconds: number;
  onGone: IChainable;
  /** Reads `$.sessions.output.sessions`. */
  onRemaining: IChainable;
}

/**
 * Waits until the application's database sessions are gone. Stopped tasks are not all there is: workers that RunTask
 * started, or a forgotten notebook, hold locks as well. @returns the first state
 */
export function drainSessions(scope: Construct, props: DrainSessionsProps): Pass {
  const looks = Math.max(1, Math.ceil(props.drain.seconds / props.pollSeconds));
  const begin = new Pass(scope, WINDOW.drain.begin, { parameters: { count: 0 }, resultPath: '$.looks' });
  const check = invokeFunction(scope, WINDOW.drain.check, props.functions, {
    function: 'check-sessions',
    payload: TaskInput.fromObject({ deploy: JsonPath.stringAt('$.deploy') }),
    resultPath: '$.sessions',
    comment: 'Who of the application is still connected?',
  });
  check.addRetry(CONNECTION_RETRY);
  const wait = new Wait(scope, WINDOW.drain.wait, {
    time: WaitTime.duration(Duration.seconds(props.pollSeconds)),
  });
  const count = new Pass(scope, WINDOW.drain.count, {
    parameters: { count: JsonPath.mathAdd(JsonPath.numberAt('$.looks.count'), 1) },
    resultPath: '$.looks',
  });
  begin.next(check);
  check.next(
    new Choice(scope, WINDOW.drain.reached)
      .when(Condition.numberEquals('$.sessions.output.remaining', 0), props.onGone)
      .when(Condition.numberGreaterThanEquals('$.looks.count', looks), props.onRemaining)
      .otherwise(wait),
  );
  wait.next(count).next(check);
  return begin;
}
