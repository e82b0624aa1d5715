import {
  Choice,
  Condition,
  JsonPath,
  Pass,
  type State,
  type TaskStateBase,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { catchAll } from '../retry-and-catch.ts';
import { ECS } from '../state-names.ts';
import { waitUntil } from '../wait-until.ts';
import type { AfterUpdate, WaitLimits } from './service-kind.ts';

const PRIMARY = '$.described.primaryRevision[0]';
const REQUESTED = '$.service.revision.to[0]';

/** What the loop reads and calls. */
export interface UpdateCalls {
  /** Sets the revision in `$.service.revision.to`, and not the count. */
  update: TaskStateBase;
  /** Writes the deployments to `$.described`. */
  check: TaskStateBase;
  /** A deployment is running, by what `check` has read. */
  isDeploying: Condition;
  /** The last deployment has failed. */
  hasFailed: Condition;
}

/**
 * Gives a running service another revision, and waits until its deployment has ended. ECS replaces the tasks one by one, so nothing is
 * stopped. The desired count is not changed: scaling may change it meanwhile. If ECS rolls the deployment back, the service has the old
 * revision again, and no deployment is running.
 * @returns the first state
 */
export function updateEcsService(
  scope: Construct,
  { update, check, isDeploying, hasFailed }: UpdateCalls,
  { limits, after }: { limits: WaitLimits; after: AfterUpdate },
): State {
  for (const call of [update, check]) catchAll(call, after.failed, '$.failure');
  const isOnRevision = Condition.and(
    Condition.isPresent(PRIMARY),
    Condition.stringEqualsJsonPath(PRIMARY, REQUESTED),
  );
  const broken = new Pass(scope, ECS.update.broken, {
    parameters: {
      Error: 'RevisionNotRunning',
      'Cause.$': `States.Format('ECS did not complete its deployment of {}: read the events and the stopped tasks of the service in ECS', ${REQUESTED})`,
    },
    resultPath: '$.failure',
  });
  broken.next(after.failed);
  const isRunning = new Choice(scope, ECS.update.isRunning)
    .when(Condition.and(isOnRevision, Condition.not(hasFailed)), after.updated)
    .otherwise(broken);
  update.next(
    waitUntil(scope, {
      names: ECS.update.checks,
      check,
      reached: Condition.or(
        hasFailed,
        Condition.and(
          Condition.not(isDeploying),
          // DescribeServices can return the service as it was before the update for a while.
          Condition.or(
            isOnRevision,
            Condition.numberGreaterThanEquals('$.checks.count', limits.steadyChecks),
          ),
        ),
      ),
      checks: limits.startChecks,
      pollSeconds: limits.startPollSeconds,
      onReached: isRunning,
      onLate: after.late,
    }),
  );
  return new Choice(scope, ECS.update.isRequested)
    .when(Condition.isPresent(REQUESTED), update)
    .otherwise(after.unchanged);
}

/** The revision that an update sets. */
export const UPDATED_REVISION = JsonPath.stringAt(REQUESTED);
