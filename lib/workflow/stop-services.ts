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
import { getMemory, PARAMETER_EXISTS, putMemory } from './services/saved-state.ts';
import type { ServiceKind } from './services/service-kind.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { WINDOW } from './state-names.ts';

/**
 * Looks at all services before any of them is stopped. Reads `$.services`; leaves in `$.checked` an item for each, with
 * what it is to be started with again.
 */
export function checkServices(scope: Construct, services: ServiceTargets): MapState {
  const usable = new Pass(scope, WINDOW.serviceCanBeStopped, {
    parameters: {
      'name.$': '$.service.name',
      usable: true,
      reason: NULL,
      'service.$': '$.service',
      'current.$': '$.current',
    },
  });
  const refused = new Pass(scope, WINDOW.serviceCannotBeStopped, {
    parameters: { 'name.$': '$.service.name', usable: false, 'reason.$': '$.refusal.reason' },
  });
  const map = new MapState(scope, WINDOW.checkServices, {
    comment: 'All of them, before the first one is stopped',
    itemsPath: '$.services',
    itemSelector: { 'service.$': '$$.Map.Item.Value' },
    resultPath: '$.checked',
  });
  map.itemProcessor(
    eachKind(scope, WINDOW.whichKindToCheck, services, (kind) => kind.check(scope, { usable, refused })),
  );
  return map;
}

/**
 * Stops all services at once, each in this order: remember durably what it is to be started with again, stop it, wait
 * until it has stopped. Reads `$.checked`, `$.deploy`, `$.execution`; leaves a StoppedService for each in `$.stopped`.
 */
export function stopServices(scope: Construct, services: ServiceTargets): MapState {
  const stopped = outcome(scope, WINDOW.serviceStopped, 'stopped');
  const late = outcome(scope, WINDOW.serviceNotStopped, 'not-stopped');
  const stop = eachKind(scope, WINDOW.whichKindToStop, services, (kind) =>
    kind.stop(scope, { stopped, late }),
  );

  const note = new Pass(scope, WINDOW.recordCurrentState, {
    parameters: {
      'current.$': '$.current',
      'stoppedAt.$': '$$.State.EnteredTime',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.remembered',
  });
  const remember = putMemory(scope, WINDOW.saveState, services.memory, false);
  // An earlier run died before it could start the service again: its word is the true one, not today's 0. It becomes this
  // deploy's to start, so that no recovery takes it for abandoned.
  const recall = getMemory(scope, WINDOW.readEarlierState, services.memory);
  const adopt = new Pass(scope, WINDOW.useEarlierState, {
    parameters: {
      'current.$': '$.memory.value.current',
      'stoppedAt.$': '$.memory.value.stoppedAt',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.remembered',
  });
  const keep = putMemory(scope, WINDOW.saveEarlierState, services.memory, true);
  note.next(remember).next(stop);
  remember.addCatch(recall, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
  recall.next(adopt).next(keep).next(stop);

  const map = new MapState(scope, WINDOW.stopServices, {
    comment: 'All at once, so that the window is as long as the slowest and no longer',
    itemsPath: '$.checked',
    itemSelector: {
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
      'service.$': '$$.Map.Item.Value.service',
      'current.$': '$$.Map.Item.Value.current',
    },
    resultPath: '$.stopped',
  });
  map.itemProcessor(note);
  return map;
}

function outcome(scope: Construct, id: string, result: string): Pass {
  return new Pass(scope, id, {
    parameters: { 'name.$': '$.service.name', outcome: result, 'stoppedAt.$': '$.remembered.stoppedAt' },
  });
}

/** Goes the way of the service's kind. */
export function eachKind(
  scope: Construct,
  id: string,
  services: ServiceTargets,
  way: (kind: ServiceKind) => State,
): State {
  const choice = new Choice(scope, id);
  for (const kind of services.kinds)
    choice.when(Condition.stringEquals('$.service.kind', kind.kind), way(kind));
  return choice;
}
