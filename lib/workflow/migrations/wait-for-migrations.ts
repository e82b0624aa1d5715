import { Condition, type IChainable, JsonPath, Pass, Result, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Environment } from '../../config/environment-config.ts';
import type { ResourceNames } from '../../config/resource-names.ts';
import type { WorkflowFunctions } from '../../functions/workflow-functions.ts';
import { MIGRATIONS_END } from '../state-names.ts';
import { LOCK_CHECK, waitForFunction, waitForStart } from './wait-for-function.ts';
import { waitForTask } from './wait-for-task.ts';

/** What the states need to find the migrations of an environment. */
export interface MigrationsProps {
  functions: WorkflowFunctions;
  names: ResourceNames;
  environment: Pick<Environment, 'migrations' | 'stopMinutes'>;
}

export interface WaitForMigrationsProps extends MigrationsProps {
  /** Where to record, as text, what still runs when the deadline has passed. */
  stillRunningPath: string;
  /** Whether a function of the application may have been called a moment ago. `unknown`: its execution has ended. */
  isFunctionCalled: Condition | 'unknown';
  next: IChainable;
}

/**
 * Waits, at most until a deadline, until no migration of this environment runs any more. Services must not start while one
 * does: an execution that failed, timed out or was aborted says nothing about the task or the function that it started.
 * @returns the first state
 */
export function waitForMigrations(scope: Construct, props: WaitForMigrationsProps): IChainable {
  const { migrations, stopMinutes } = props.environment;
  const { functions, names, stillRunningPath, next } = props;
  switch (migrations.runner) {
    case 'none':
      return next;
    case 'ecs-task': {
      const late = new Pass(scope, MIGRATIONS_END.stillRunning, {
        result: Result.fromString('its task'),
        resultPath: stillRunningPath,
      });
      return waitForTask(scope, {
        migrations,
        group: names.migrationGroup,
        stopMinutes,
        ended: next,
        late: late.next(next),
      });
    }
    case 'sql':
    case 'lambda': {
      const late = new Pass(scope, MIGRATIONS_END.stillRunning, {
        inputPath: `${LOCK_CHECK}.output.by`,
        resultPath: stillRunningPath,
      });
      const isOurs = migrations.runner === 'sql';
      const wait = waitForFunction(scope, {
        functions,
        payload: TaskInput.fromObject(isOurs ? { end: requestedMigrations(names) } : {}),
        ended: next,
        late: late.next(next),
      });
      return isOurs ? wait : waitForStart(scope, props.isFunctionCalled, wait);
    }
  }
}

/** The migrations that were requested until this state was entered, for the functions run-migrations and check-migrations. */
export function requestedMigrations({ environmentName }: ResourceNames): Record<string, unknown> {
  return { environment: environmentName, at: JsonPath.stateEnteredTime };
}

/**
 * The verdicts of the maintenance window in the state of `deploy`, for the field `window` in the input of start-services. The
 * list is empty if the window did not end by itself.
 */
export const WINDOW_VERDICTS_OF_DEPLOY = '$..window.output.verdict';

/** In `start-services`: the maintenance window of the parent ended by itself, and so it has waited for the migrations. */
export const WINDOW_ENDED = Condition.isPresent('$$.Execution.Input.window[0]');
