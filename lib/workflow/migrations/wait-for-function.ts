import { Duration } from 'aws-cdk-lib';
import {
  Condition,
  Errors,
  type IChainable,
  JitterType,
  JsonPath,
  type Pass,
  type RetryProps,
  TaskInput,
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

/** Path of the result of the last check: a CheckMigrationsResult in `output`. */
export const LOCK_CHECK = '$.migrationLock';

interface WaitForFunctionProps {
  functions: WorkflowFunctions;
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
    payload: TaskInput.fromObject({}),
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
