import { Condition, type IChainable, JsonPath, type Pass, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Environment } from '../config/environment-config.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import { invokeFunction } from './invoke-function.ts';
import { CONNECTION_RETRY } from './retry-and-catch.ts';
import { WINDOW } from './state-names.ts';
import { checksWithin, waitUntil } from './wait-until.ts';

export interface DrainSessionsProps {
  functions: WorkflowFunctions;
  drain: NonNullable<Environment['drain']>;
  pollSeconds: number;
  onClosed: IChainable;
  /** The deadline has passed. Reads `$.sessions.output.sessions`. */
  onRemaining: IChainable;
}

/**
 * Waits until the database sessions of the application are closed. Stopping the services may not be enough: a worker that
 * RunTask started, or a notebook, can hold locks as well.
 * @returns the first state
 */
export function drainSessions(scope: Construct, props: DrainSessionsProps): Pass {
  const check = invokeFunction(scope, WINDOW.drain.check, props.functions, {
    function: 'check-sessions',
    payload: TaskInput.fromObject({ deploy: JsonPath.stringAt('$.deploy') }),
    resultPath: '$.sessions',
    comment: 'Lists the sessions of the application that are still connected',
  });
  check.addRetry(CONNECTION_RETRY);
  return waitUntil(scope, {
    names: WINDOW.drain,
    check,
    reached: Condition.numberEquals('$.sessions.output.remaining', 0),
    checks: checksWithin(props.drain.seconds, props.pollSeconds),
    pollSeconds: props.pollSeconds,
    onReached: props.onClosed,
    onLate: props.onRemaining,
  });
}
