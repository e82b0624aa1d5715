import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from './aws-call.ts';
import { catchAll } from './retry-and-catch.ts';
import {
  isHoldMarker,
  PARAMETER_MISSING,
  putParameter,
  readParameter,
  readTextAndValue,
} from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { executionsArn } from './start-execution.ts';
import { HOLD } from './state-names.ts';

/** Value of `reason` in the input of the recovery after the limit of a hold. */
export const HOLD_ENDED = 'hold-ended';

const SECONDS_PER_MINUTE = 60;

/**
 * Waits for the limit of a hold, in an execution of its own. It ends without a start if the hold has ended in the meantime, or if a
 * later deploy holds the services, which has a limit of its own. So it does if the marker cannot be read: then the reconciler finds
 * that the limit is over.
 * @param props.reached the start as a recovery. Reads `$.input` and `$.marker.text`
 * @returns the first state
 */
export function waitForHoldLimit(
  scope: Construct,
  { services, holdMinutes, reached }: { services: ServiceTargets; holdMinutes: number; reached: IChainable },
): IChainable {
  const wait = new Wait(scope, HOLD.wait, {
    time: WaitTime.duration(Duration.seconds(Math.ceil(holdMinutes * SECONDS_PER_MINUTE))),
  });
  const read = readTextAndValue(scope, HOLD.readAtLimit, services.marker, '$.marker');
  const hasEnded = new Pass(scope, HOLD.hasEnded, { parameters: { services: [] } });
  catchAll(read, hasEnded, '$.ignored');
  const limit = '$.marker.value.hold.limit';
  read.next(
    new Choice(scope, HOLD.isOwn)
      .when(
        Condition.and(
          Condition.isPresent(limit),
          Condition.isString(limit),
          Condition.stringEqualsJsonPath(limit, '$$.Execution.Id'),
        ),
        reached,
      )
      .otherwise(hasEnded),
  );
  return wait.next(read);
}

/** The recovery after the limit. Its reason changes the alert, and its text of the marker says that services were held. */
export function limitReached(scope: Construct, next: IChainable): Pass {
  const reached = new Pass(scope, HOLD.reached, {
    parameters: { reason: HOLD_ENDED },
    resultPath: '$.input',
  });
  reached.next(next);
  return reached;
}

export interface HoldOfMarkerProps {
  services: ServiceTargets;
  /** Names of the state machines. */
  machines: { deploy: string; startServices: string };
  /** The marker is not that of a hold: services are left stopped after a critical failure. */
  leftStopped: IChainable;
  /** Starts the services. */
  start: IChainable;
  /** The limit is over. */
  reached: IChainable;
  /** Reads the error from `$.failure`. */
  failed: IChainable;
}

/**
 * What a recovery does with the marker in `$.marker.text`. It leaves the services stopped while the hold lasts. It starts them
 * - if someone has requested their start, which was killed;
 * - if the deploy that holds them has not succeeded: it was killed after it had saved the marker;
 * - if the execution that waits for the limit is not running: it has ended, or someone has stopped it.
 * @returns the first state
 */
export function holdOfMarker(scope: Construct, props: HoldOfMarkerProps): IChainable {
  const { services, machines, start, reached, failed } = props;
  const continues = new Pass(scope, HOLD.continues, { parameters: { services: [] } });
  const describe = (id: string, machine: string, { arn, path }: { arn: string; path: string }) => {
    const call = awsCall(scope, id, {
      api: 'sfn',
      action: 'describeExecution',
      iamResources: [executionsArn(scope, machine)],
      parameters: { ExecutionArn: JsonPath.stringAt(arn) },
      result: { path, selector: { 'status.$': '$.Status' } },
    });
    return call;
  };
  const notExisting = { errors: ['Sfn.ExecutionDoesNotExistException'], resultPath: JsonPath.DISCARD };
  const [execution, limit] = ['$.hold.value.hold.execution', '$.hold.value.hold.limit'];
  const describeDeploy = describe(HOLD.describeDeploy, machines.deploy, { arn: execution, path: '$.holder' });
  // Step Functions deletes an execution 90 days after its end.
  describeDeploy.addCatch(reached, notExisting);
  const describeLimit = describe(HOLD.describeLimit, machines.startServices, { arn: limit, path: '$.limit' });
  // It has started a moment ago, because the deploy that started it still exists.
  describeLimit.addCatch(continues, notExisting);
  const read = readParameter(scope, HOLD.read, services.marker, '$.hold');
  read.addCatch(start, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  // Its text is no JSON. What nobody can read does not keep services stopped.
  read.addCatch(reached, { errors: ['States.IntrinsicFailure'], resultPath: JsonPath.DISCARD });
  for (const call of [read, describeDeploy, describeLimit]) catchAll(call, failed, '$.failure');

  const isText = (path: string) => Condition.and(Condition.isPresent(path), Condition.isString(path));
  read.next(
    new Choice(scope, HOLD.hasDeployEnded)
      .when(Condition.not(Condition.and(isText(execution), isText(limit))), reached)
      // DescribeExecution is eventually consistent: the deploy whose end was reported can still look as if it was running.
      .when(
        Condition.and(
          isText('$.input.deploy'),
          isText('$.hold.value.deploy'),
          Condition.stringEqualsJsonPath('$.input.deploy', '$.hold.value.deploy'),
        ),
        start,
      )
      .otherwise(describeDeploy),
  );
  describeDeploy.next(
    new Choice(scope, HOLD.hasDeployFailed)
      .when(
        Condition.or(
          ...['FAILED', 'TIMED_OUT', 'ABORTED'].map((status) =>
            Condition.stringEquals('$.holder.status', status),
          ),
        ),
        start,
      )
      .otherwise(describeLimit),
  );
  describeLimit.next(
    new Choice(scope, HOLD.isLimitRunning)
      .when(Condition.stringEquals('$.limit.status', 'RUNNING'), continues)
      .otherwise(reached),
  );
  return new Choice(scope, HOLD.isHold)
    .when(Condition.not(isHoldMarker('$.marker.text')), props.leftStopped)
    .when(IS_ENDED, start)
    .otherwise(read);
}

const IS_ENDED = Condition.stringMatches('$.marker.text', '*"ended":true*');

/**
 * Ends a hold before its services are started on request. The marker stays until they have started, so that a recovery after a kill
 * still knows that the deployment of the application may have changed their counts, but it does not wait for the limit.
 * @param next.notHeld the marker in `$.marker.text` is not that of a hold
 * @returns the first state
 */
export function endHold(
  scope: Construct,
  services: ServiceTargets,
  next: { start: IChainable; notHeld: IChainable },
): IChainable {
  const end = putParameter(scope, HOLD.end, services.marker, {
    // The text in it is the JSON of the marker.
    value: JsonPath.format('\\{"hold":\\{"ended":true\\},"of":{}\\}', JsonPath.stringAt('$.marker.text')),
    overwrite: true,
  });
  end.next(next.start);
  return new Choice(scope, HOLD.shouldEnd)
    .when(Condition.not(isHoldMarker('$.marker.text')), next.notHeld)
    .when(IS_ENDED, next.start)
    .otherwise(end);
}
