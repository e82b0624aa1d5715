import { Choice, Condition, type IChainable, JsonPath, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { catchAll } from './retry-and-catch.ts';
import { listSavedStates } from './services/list-saved-states.ts';
import { putParameter } from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { startDetached } from './start-execution.ts';
import { DEPLOY } from './state-names.ts';
import type { WorkflowMachine } from './workflow-machine.ts';

/*
 * A hold: a deploy that has succeeded leaves the services stopped, so that the deployment of the application finds them stopped. Its
 * limit is an execution of `start-services` that waits `holdMinutes`. The marker of services that are left stopped names it:
 *
 *   {"deploy": NAME, "since": ISO 8601, "hold": {"minutes": 30, "execution": ARN of the deploy, "limit": ARN of that execution}}
 *
 * The hold lasts as long as the limit is running, so no state has to calculate a time. See hold-limit.ts for its end.
 */

/** Value of `reason` in the input of the execution that waits for the limit of a hold. */
export const HOLD_LIMIT = 'hold-limit';

export interface BeginHoldProps {
  services: ServiceTargets;
  startServices: WorkflowMachine;
  holdMinutes: number;
  /** The services are held. Reads the hold from `$.holding`. */
  held: IChainable;
  /** The hold was not saved. Reads the error from `$.holdFailure`. */
  failed: IChainable;
}

/** Starts the limit and saves the marker. @returns the first state */
export function beginHold(scope: Construct, props: BeginHoldProps): IChainable {
  const limit = startDetached(scope, DEPLOY.hold.startLimit, {
    machine: props.startServices,
    comment: 'Starts the services if nobody has started them when it is over',
    input: { reason: HOLD_LIMIT, deploy: JsonPath.stringAt('$.deploy') },
    resultPath: '$.holdLimit',
  });
  const record = new Pass(scope, DEPLOY.hold.record, {
    parameters: {
      'deploy.$': '$.deploy',
      'since.$': '$$.State.EnteredTime',
      hold: {
        minutes: props.holdMinutes,
        'execution.$': '$$.Execution.Id',
        'limit.$': '$.holdLimit.execution',
      },
    },
    resultPath: '$.holding',
  });
  const save = putParameter(scope, DEPLOY.hold.save, props.services.marker, {
    value: JsonPath.jsonToString(JsonPath.objectAt('$.holding')),
    overwrite: true,
  });
  for (const call of [limit, save]) catchAll(call, props.failed, '$.holdFailure');
  limit.next(record).next(save).next(props.held);
  return limit;
}

/**
 * Holds the services that an earlier deploy has left stopped. This one has nothing to do, for example because a pipeline was started
 * again after the deployment of the application had failed. Writes their saved states to `$.listed`.
 * @param next.failed reads the error from `$.listFailure`
 * @returns the first state
 */
export function holdAgain(
  scope: Construct,
  next: { services: ServiceTargets; hold: IChainable; nothingStopped: IChainable; failed: IChainable },
): IChainable {
  const begin = new Pass(scope, DEPLOY.hold.begin, { parameters: { names: [] }, resultPath: '$.listed' });
  const anyStopped = new Choice(scope, DEPLOY.hold.anyStopped)
    .when(Condition.isPresent('$.listed.names[0]'), next.hold)
    .otherwise(next.nothingStopped);
  return begin.next(
    listSavedStates(scope, {
      names: DEPLOY.hold.stopped,
      path: next.services.savedStatesPath,
      next: anyStopped,
      onError: next.failed,
    }),
  );
}
