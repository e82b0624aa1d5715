import { Choice, Condition, Map as MapState, Pass, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { NULL } from './null-parameters.ts';
import { IS_REVISION_REQUESTED } from './services/ecs-revision.ts';
import { NO_COUNTS, NO_STOPPING_TASKS } from './services/ecs-stopped-tasks.ts';
import type { ServiceKind } from './services/service-kind.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { WINDOW } from './state-names.ts';

/**
 * Checks all services before the first one is stopped. Reads `$.services`, `$.rounds` and `$.rehearsal`, writes an item for each
 * service to `$.checked`: its state in `current`, the state to restore in `toRestore`, and in `waited` whether the check waited for a
 * deployment. A rehearsal does not wait: `waits` says that a deploy would. An error of one service is its own reason.
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
      'toRestore.$': '$.current',
    },
  });
  const refused = new Pass(scope, WINDOW.serviceCannotBeStopped, {
    parameters: {
      'name.$': '$.service.name',
      usable: false,
      'reason.$': '$.refusal.reason',
      'waits.$': '$.refusal.waits',
      'waited.$': '$.deployment.waited',
    },
  });
  const failed = new Pass(scope, WINDOW.serviceNotChecked, {
    parameters: {
      'name.$': '$.service.name',
      usable: false,
      reason: NULL,
      'error.$': '$.failure',
      'waited.$': '$.deployment.waited',
    },
  });
  const map = new MapState(scope, WINDOW.checkServices, {
    comment: 'Checks all services before the first one is stopped',
    itemsPath: '$.services',
    itemSelector: {
      'service.$': '$$.Map.Item.Value',
      'round.$': '$.rounds.round',
      'rehearsal.$': '$.rehearsal',
      'update.$': '$.update',
      deployment: { waited: false, checks: 0 },
    },
    resultPath: '$.checked',
  });
  const notUpdated = new Pass(scope, WINDOW.update.notRequested, {
    parameters: {
      'name.$': '$.service.name',
      usable: true,
      reason: NULL,
      'waited.$': '$.deployment.waited',
      'service.$': '$.service',
    },
  });
  const kinds = new Choice(scope, WINDOW.whichKindToCheck);
  // Without a stop, only the services that get another revision have to be checked.
  if (services.withRevisions.length > 0)
    kinds.when(
      Condition.and(Condition.booleanEquals('$.update', true), Condition.not(IS_REVISION_REQUESTED)),
      notUpdated,
    );
  map.itemProcessor(chooseKind(kinds, services, (kind) => kind.check(scope, { usable, refused, failed })));
  return map;
}

/**
 * Stops all services at the same time, and waits until they have stopped. Their states are saved: see save-services.ts.
 * An error of one service, for example because it was deleted, is the outcome of that service.
 * Reads `$.saved`, writes a StoppedService for each service to `$.stopped`.
 */
export function stopServices(scope: Construct, services: ServiceTargets): MapState {
  const stopped = outcome(scope, WINDOW.serviceStopped, 'stopped');
  const late = outcome(scope, WINDOW.serviceNotStopped, 'not-stopped');
  const startedByOthers = outcome(scope, WINDOW.serviceStartedByOthers, 'started-by-others');
  const failed = outcome(scope, WINDOW.serviceStopFailed, 'failed', '$.failure');
  const map = new MapState(scope, WINDOW.stopServices, {
    comment: 'Stops all services at the same time, so that the window is as short as possible',
    itemsPath: '$.saved',
    itemSelector: {
      'service.$': '$$.Map.Item.Value.service',
      'current.$': '$$.Map.Item.Value.current',
      'stateToSave.$': '$$.Map.Item.Value.stateToSave',
      // The kinds without tasks do not write these.
      counts: NO_COUNTS,
      stopping: NO_STOPPING_TASKS,
    },
    resultPath: '$.stopped',
  });
  map.itemProcessor(
    chooseKind(new Choice(scope, WINDOW.whichKindToStop), services, (kind) =>
      kind.stop(scope, { stopped, late, startedByOthers, failed }),
    ),
  );
  return map;
}

/** @param error path of the error @default null */
function outcome(scope: Construct, id: string, result: string, error?: string): Pass {
  return new Pass(scope, id, {
    parameters: {
      'name.$': '$.service.name',
      outcome: result,
      'stoppedAt.$': '$.stateToSave.stoppedAt',
      'counts.$': '$.counts',
      'stopping.$': '$.stopping',
      ...(error === undefined ? { error: NULL } : { 'error.$': error }),
    },
  });
}

/** Continues with the states of the service's kind. */
export function chooseKind(
  choice: Choice,
  services: ServiceTargets,
  statesOf: (kind: ServiceKind) => State,
): State {
  for (const kind of services.kinds)
    choice.when(Condition.stringEquals('$.service.kind', kind.kind), statesOf(kind));
  return choice;
}
