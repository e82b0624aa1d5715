import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import {
  Choice,
  Condition,
  Fail,
  type IChainable,
  JsonPath,
  Pass,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from './aws-call.ts';
import { holdOfMarker, limitReached } from './hold-limit.ts';
import { publishAlert } from './publish-alert.ts';
import { reportStopped } from './report-stopped.ts';
import { catchAll } from './retry-and-catch.ts';
import {
  deleteState,
  PARAMETER_EXISTS,
  PARAMETER_MISSING,
  putParameter,
  readText,
} from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { executionsArn, startOwnExecution } from './start-execution.ts';
import { RECOVERY } from './state-names.ts';

export interface RecoverServicesProps {
  services: ServiceTargets;
  /** Names of the state machines. `startServices` has these states. */
  machines: { deploy: string; startServices: string };
  topic: sns.ITopic;
  /** Pause between two checks of the services. The checks of the lock have the same pause, but at most 5 s. */
  pollSeconds: number;
  /** Time limit of the child execution. Shorter than that of the state machine, so that a time-out sends an alert too. */
  timeout: Duration;
}

/**
 * The states of a recovery, after those that report stopped services to CloudWatch if alarms are configured:
 * 1. End if the marker says that the services are left stopped deliberately, or are held: see hold-limit.ts.
 * 2. Acquire the lock. End if another recovery is running: a recovery never overlaps another one.
 * 3. Start the services in a child execution of the same state machine, because a Catch in the execution itself handles
 *    neither a time-out nor States.Runtime.
 * 4. If the child failed, send one alert, until a recovery succeeds again.
 * @returns the first state, and the first one after the limit of a hold
 */
export function recoverServices(
  scope: Construct,
  props: RecoverServicesProps,
): { begin: IChainable; limitReached: IChainable } {
  const { services, machines } = props;
  const failure = afterFailure(scope, props);
  const run = startOwnExecution(scope, RECOVERY.run, {
    machineName: machines.startServices,
    input: {
      ...{ recovery: true, 'reason.$': '$.input.reason', 'request.$': '$.input' },
      'marker.$': '$.marker.text',
    },
    resultPath: '$.child',
    timeout: props.timeout,
    comment: 'Runs in a child execution, so that every error of it sends an alert',
  });
  catchAll(run, failure, '$.failure');
  run.next(afterSuccess(scope, services));

  const acquire = acquireLock(scope, props, run);
  const leftStopped = new Pass(scope, RECOVERY.leftStopped, { parameters: { services: [] } });
  const readMarker = readText(scope, RECOVERY.readMarker, services.marker, '$.marker');
  readMarker.addCatch(acquire, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  catchAll(readMarker, failure, '$.failure');
  const reached = limitReached(scope, acquire);
  readMarker.next(
    holdOfMarker(scope, { services, machines, leftStopped, start: acquire, reached, failed: failure }),
  );
  const { stoppedNamespace: namespace, savedStatesPath } = services;
  const begin =
    namespace === undefined
      ? readMarker
      : reportStopped(scope, { namespace, savedStatesPath, next: readMarker });
  return { begin, limitReached: reached };
}

/** Checks of an execution that has the lock and does not exist, until its lock is taken over. */
const LOCK_CHECKS = 3;
/**
 * Pause between two of these checks. Two recoveries that take over the same lock at the same time both see the later one's
 * name after it.
 */
const LONGEST_LOCK_PAUSE_SECONDS = 5;

/**
 * Continues with `run` if this execution has the lock. A lock that cannot be read or written must not keep services stopped.
 * Reads `$.lockChecks.count`, which is 1 at first.
 */
function acquireLock(
  scope: Construct,
  { services, machines, pollSeconds }: RecoverServicesProps,
  run: IChainable,
): IChainable {
  const lock = services.recoveryLock;
  const value = JsonPath.executionId;
  const acquire = putParameter(scope, RECOVERY.acquireLock, lock, { value, overwrite: false });
  const readLock = readText(scope, RECOVERY.readLock, lock, '$.lock');
  const describe = awsCall(scope, RECOVERY.describeHolder, {
    api: 'sfn',
    action: 'describeExecution',
    iamResources: [executionsArn(scope, machines.startServices)],
    parameters: { ExecutionArn: JsonPath.stringAt('$.lock.text') },
    result: { path: '$.holder', selector: { 'status.$': '$.Status' } },
  });
  const takeOver = putParameter(scope, RECOVERY.takeOverLock, lock, { value, overwrite: true });
  acquire.addCatch(readLock, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
  // The other recovery has released it in the meantime.
  readLock.addCatch(acquire, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  for (const call of [acquire, readLock, takeOver]) catchAll(call, run, '$.lockFailure');
  const wait = new Wait(scope, RECOVERY.waitForLock, {
    time: WaitTime.duration(Duration.seconds(Math.min(pollSeconds, LONGEST_LOCK_PAUSE_SECONDS))),
  });
  const count = new Pass(scope, RECOVERY.countLockCheck, {
    parameters: { count: JsonPath.mathAdd(JsonPath.numberAt('$.lockChecks.count'), 1) },
    resultPath: '$.lockChecks',
  });
  wait.next(count).next(readLock);
  // Step Functions deletes an execution 90 days after its end. But it may also have started a moment ago.
  const isGone = new Choice(scope, RECOVERY.isHolderGone)
    .when(Condition.numberGreaterThanEquals('$.lockChecks.count', LOCK_CHECKS), takeOver)
    .otherwise(wait);
  describe.addCatch(isGone, {
    errors: ['Sfn.ExecutionDoesNotExistException'],
    resultPath: JsonPath.DISCARD,
  });
  // The lock may contain anything.
  catchAll(describe, takeOver, '$.lockFailure');
  acquire.next(run);
  takeOver.next(wait);
  const alreadyRunning = new Pass(scope, RECOVERY.alreadyRunning, { parameters: { services: [] } });
  readLock.next(
    new Choice(scope, RECOVERY.isOwnLock)
      // Taken over, or acquired by a call whose response was lost.
      .when(Condition.stringEqualsJsonPath('$.lock.text', '$$.Execution.Id'), run)
      .otherwise(describe),
  );
  describe.next(
    new Choice(scope, RECOVERY.isHolderRunning)
      .when(Condition.stringEquals('$.holder.status', 'RUNNING'), alreadyRunning)
      .otherwise(takeOver),
  );
  return acquire;
}

function afterSuccess(scope: Construct, services: ServiceTargets): IChainable {
  const release = deleteState(scope, RECOVERY.releaseLock, services.recoveryLock);
  const deleteFailure = deleteState(scope, RECOVERY.deleteFailure, services.recoveryFailure);
  const recovered = new Pass(scope, RECOVERY.recovered, { inputPath: '$.child.output' });
  catchAll(release, deleteFailure, '$.ignored');
  catchAll(deleteFailure, recovered, '$.ignored');
  release.next(deleteFailure).next(recovered);
  return release;
}

/** Sends an alert unless an earlier recovery has sent it, and fails. */
function afterFailure(scope: Construct, { services, machines, topic }: RecoverServicesProps): IChainable {
  const release = deleteState(scope, RECOVERY.releaseLockAfterFailure, services.recoveryLock);
  const record = putParameter(scope, RECOVERY.recordFailure, services.recoveryFailure, {
    value: JsonPath.executionId,
    overwrite: false,
  });
  const { environmentName } = services;
  const prepare = new Pass(scope, RECOVERY.prepareFailureAlert, {
    parameters: {
      subject: 'pg-deploy-step: the recovery of services FAILED',
      // One line, because the text of an intrinsic function cannot contain line breaks.
      'message.$': `States.Format('Environment: ${environmentName}. The recovery ({}) failed with {}, so services can still be stopped. What to do next: 1. List the services that are stopped: aws ssm get-parameters-by-path --path ${services.savedStatesPath}. 2. Open this execution in the console, and find the state that failed: {}. 3. Fix the cause. 4. Start an execution of the state machine ${machines.startServices} with the input \\{\\}. The schedule repeats the recovery every 10 minutes, without a further alert until it has succeeded.', $.input.reason, $.failure.Error, $$.Execution.Id)`,
    },
    resultPath: '$.alert',
  });
  const alert = publishAlert(scope, RECOVERY.failureAlert, topic);
  const failed = new Fail(scope, RECOVERY.failed, {
    error: 'RecoveryFailed',
    cause: 'The services could not be started. Open the child execution of the state "Run Recovery".',
  });
  catchAll(release, record, '$.ignored');
  // The alert of an earlier recovery that failed has been sent.
  record.addCatch(failed, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
  catchAll(record, prepare, '$.ignored');
  catchAll(alert, failed, '$.ignored');
  release.next(record).next(prepare).next(alert).next(failed);
  return release;
}
