import {
  Choice,
  Condition,
  JsonPath,
  Map as MapState,
  Pass,
  type State,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { NULL } from './null-parameters.ts';
import { NO_STOPPING_TASKS } from './services/ecs-stopped-tasks.ts';
import { PARAMETER_EXISTS, readState, saveState } from './services/saved-state.ts';
import type { ServiceKind } from './services/service-kind.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { WINDOW } from './state-names.ts';

/**
 * Checks all services before the first one is stopped. Reads `$.services` and `$.rounds`, writes an item for each service to
 * `$.checked`, with the state to restore in `current`, and in `waited` whether the check waited for a deployment.
 */
export function checkServices(scope: Construct, services: ServiceTargets): MapState {
  const usable = new Pass(scope, WINDOW.serviceCanBeStopped, {
    parameters: {
      'name.$': '$.service.name',
      usable: true,
      reason: NULL,
      'waited.$': '$.deployment.waited',
      'service.$': '$.service',
      'current.$': '$.current',
    },
  });
  const refused = new Pass(scope, WINDOW.serviceCannotBeStopped, {
    parameters: {
      'name.$': '$.service.name',
      usable: false,
      'reason.$': '$.refusal.reason',
      'waited.$': '$.deployment.waited',
    },
  });
  const map = new MapState(scope, WINDOW.checkServices, {
    comment: 'Checks all services before the first one is stopped',
    itemsPath: '$.services',
    itemSelector: {
      'service.$': '$$.Map.Item.Value',
      'round.$': '$.rounds.round',
      deployment: { waited: false, checks: 0 },
    },
    resultPath: '$.checked',
  });
  map.itemProcessor(
    chooseKind(scope, WINDOW.whichKindToCheck, services, (kind) => kind.check(scope, { usable, refused })),
  );
  return map;
}

/**
 * Stops all services at the same time. For each service:
 * 1. save the state to restore in Parameter Store;
 * 2. stop it;
 * 3. wait until it has stopped.
 * Reads `$.checked`, `$.deploy` and `$.execution`, writes a StoppedService for each service to `$.stopped`.
 */
export function stopServices(scope: Construct, services: ServiceTargets): MapState {
  const stopped = outcome(scope, WINDOW.serviceStopped, 'stopped');
  const late = outcome(scope, WINDOW.serviceNotStopped, 'not-stopped');
  const startedByOthers = outcome(scope, WINDOW.serviceStartedByOthers, 'started-by-others');
  const stop = chooseKind(scope, WINDOW.whichKindToStop, services, (kind) =>
    kind.stop(scope, { stopped, late, startedByOthers }),
  );

  const recordCurrent = new Pass(scope, WINDOW.recordCurrentState, {
    parameters: {
      'current.$': '$.current',
      'stoppedAt.$': '$$.State.EnteredTime',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.stateToSave',
  });
  const save = saveState(scope, WINDOW.saveState, services.savedState, false);
  // The parameter exists if an earlier deploy was killed before it started the service. Then the saved state is the one
  // to restore, because the current desired count is 0. Saving it again with this execution makes this deploy
  // responsible, so that no recovery starts the service in the meantime.
  const readEarlier = readState(scope, WINDOW.readEarlierState, services.savedState);
  const useEarlier = new Pass(scope, WINDOW.useEarlierState, {
    parameters: {
      'current.$': '$.savedState.value.current',
      'stoppedAt.$': '$.savedState.value.stoppedAt',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.stateToSave',
  });
  const saveEarlier = saveState(scope, WINDOW.saveEarlierState, services.savedState, true);
  recordCurrent.next(save).next(stop);
  save.addCatch(readEarlier, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
  readEarlier.next(useEarlier).next(saveEarlier).next(stop);

  const map = new MapState(scope, WINDOW.stopServices, {
    comment: 'Stops all services at the same time, so that the window is as short as possible',
    itemsPath: '$.checked',
    itemSelector: {
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
      'service.$': '$$.Map.Item.Value.service',
      'current.$': '$$.Map.Item.Value.current',
      // The kinds without tasks do not write these.
      counts: { desired: 0, running: 0, pending: 0 },
      stopping: NO_STOPPING_TASKS,
    },
    resultPath: '$.stopped',
  });
  map.itemProcessor(recordCurrent);
  return map;
}

function outcome(scope: Construct, id: string, result: string): Pass {
  return new Pass(scope, id, {
    parameters: {
      'name.$': '$.service.name',
      outcome: result,
      'stoppedAt.$': '$.stateToSave.stoppedAt',
      'counts.$': '$.counts',
      'stopping.$': '$.stopping',
    },
  });
}

/** Continues with the states of the service's kind. */
export function chooseKind(
  scope: Construct,
  id: string,
  services: ServiceTargets,
  statesOf: (kind: ServiceKind) => State,
): State {
  const choice = new Choice(scope, id);
  for (const kind of services.kinds)
    choice.when(Condition.stringEquals('$.service.kind', kind.kind), statesOf(kind));
  return choice;
}
