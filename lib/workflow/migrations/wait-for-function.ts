import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  Errors,
  type IChainable,
  JitterType,
  JsonPath,
  type Pass,
  type RetryProps,
  type TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { WorkflowFunctions } from '../../functions/workflow-functions.ts';
import { invokeFunction } from '../invoke-function.ts';
import { MIGRATIONS_END } from '../state-names.ts';
import { growingChecksWithin, waitUntil } from '../wait-until.ts';

/** Longer than any function can run: 15 minutes, the limit of Lambda. */
const DEADLINE_SECONDS = 16 * 60;

/** Short, because services must start also if the database is down. Pauses: 5 + 10 + 20 s before jitter. */
const CHECK_RETRY: RetryProps = {
  errors: ['ConnectionLost'],
  interval: Duration.seconds(5),
  maxAttempts: 3,
  backoffRate: 2,
  jitterStrategy: JitterType.FULL,
};

/**
 * Lambda can take this long to start a function, and the function to acquire its lock: at most 10 s for the code before the
 * handler, and its connection.
 */
export const FUNCTION_START_SECONDS = 20;

/** Path of the result of the last check: a CheckMigrationsResult in `output`. */
export const LOCK_CHECK = '$.migrationLock';

interface WaitForFunctionProps {
  functions: WorkflowFunctions;
  /** What the function check-migrations gets. */
  payload: TaskInput;
  /** The state after the end of the migrations, or if the database cannot be read. */
  ended: IChainable;
  /** The deadline has passed. Reads LOCK_CHECK. */
  late: IChainable;
}

/**
 * Waits until no session holds the advisory lock of the migrations. A function cannot be stopped, and Step Functions does not
 * know when it ends.
 * @returns the first state
 */
export function waitForFunction(scope: Construct, props: WaitForFunctionProps): Pass {
  const check = invokeFunction(scope, MIGRATIONS_END.lock.check, props.functions, {
    function: 'check-migrations',
    payload: props.payload,
    resultPath: LOCK_CHECK,
    comment: 'Checks whether a function still applies migrations: it holds their advisory lock',
  });
  check.addRetry(CHECK_RETRY);
  for (const error of ['States.DataLimitExceeded', Errors.ALL])
    check.addCatch(props.ended, { errors: [error], resultPath: JsonPath.DISCARD });
  return waitUntil(scope, {
    names: MIGRATIONS_END.lock,
    check,
    reached: Condition.booleanEquals(`${LOCK_CHECK}.output.running`, false),
    checks: growingChecksWithin(DEADLINE_SECONDS),
    pollSeconds: 'growing',
    onReached: props.ended,
    onLate: props.late,
  });
}

/**
 * Waits first until a function of the application has certainly started, if it may have been called a moment ago. It holds no
 * lock before.
 * @param isCalled whether it may have been called a moment ago. `unknown`: the execution that called it has ended
 * @param next reads the lock
 * @returns the first state
 */
export function waitForStart(
  scope: Construct,
  isCalled: Condition | 'unknown',
  next: IChainable,
): IChainable {
  const wait = new Wait(scope, MIGRATIONS_END.functionStart.wait, {
    time: WaitTime.duration(Duration.seconds(FUNCTION_START_SECONDS)),
    comment: 'Lambda can take seconds to start a function, which holds the lock of the migrations only then',
  });
  wait.next(next);
  if (isCalled === 'unknown') return wait;
  return new Choice(scope, MIGRATIONS_END.functionStart.mayBeMissing).when(isCalled, wait).otherwise(next);
}
