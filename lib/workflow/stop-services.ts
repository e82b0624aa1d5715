import {
  Choice,
  Condition,
  JsonPath,
  Map as MapState,
  Pass,
  type State,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { NULL } from './null.ts';
import type { ServiceKind } from './services/kind.ts';
import { getMemory, PARAMETER_EXISTS, putMemory } from './services/memory.ts';
import type { ServiceTargets } from './services/target.ts';

/**
 * Looks at all services before any of them is stopped. Reads `$.services`; leaves in `$.checked` an item for each, with
 * what it is to be started with again.
 */
export function checkServices(scope: Construct, services: ServiceTargets): MapState {
  const usable = new Pass(scope, 'Service Can Be Stopped', {
    parameters: {
      'name.$': '$.service.name',
      usable: true,
      reason: NULL,
      'service.$': '$.service',
      'current.$': '$.current',
    },
  });
  const refused = new Pass(scope, 'Service Refused', {
    parameters: { 'name.$': '$.service.name', usable: false, 'reason.$': '$.refusal.reason' },
  });
  const map = new MapState(scope, 'Check Services', {
    comment: 'All of them, before the first one is stopped',
    itemsPath: '$.services',
    itemSelector: { 'service.$': '$$.Map.Item.Value' },
    resultPath: '$.checked',
  });
  map.itemProcessor(
    eachKind(scope, 'Which Kind To Check?', services, (kind) => kind.check(scope, { usable, refused })),
  );
  return map;
}

/**
 * Stops all services at once, each in this order: remember durably what it is to be started with again, stop it, wait
 * until it has stopped. Reads `$.checked`, `$.deploy`, `$.execution`; leaves a StoppedService for each in `$.stopped`.
 */
export function stopServices(scope: Construct, services: ServiceTargets): MapState {
  const stopped = outcome(scope, 'Service Stopped', 'stopped');
  const late = outcome(scope, 'Service Not Stopped', 'not-stopped');
  const stop = eachKind(scope, 'Which Kind To Stop?', services, (kind) =>
    kind.stop(scope, { stopped, late }),
  );

  const note = new Pass(scope, 'Note What Runs', {
    parameters: {
      'current.$': '$.current',
      'stoppedAt.$': '$$.State.EnteredTime',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.remembered',
  });
  const remember = putMemory(scope, 'Remember Service', services.memory, false);
  // An earlier run died before it could start the service again: its word is the true one, not today's 0. It becomes this
  // deploy's to start, so that no recovery takes it for abandoned.
  const recall = getMemory(scope, 'Recall Earlier Memory', services.memory);
  const adopt = new Pass(scope, 'Adopt Earlier Memory', {
    parameters: {
      'current.$': '$.memory.value.current',
      'stoppedAt.$': '$.memory.value.stoppedAt',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.remembered',
  });
  const keep = putMemory(scope, 'Keep Earlier Memory', services.memory, true);
  note.next(remember).next(stop);
  remember.addCatch(recall, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
  recall.next(adopt).next(keep).next(stop);

  const map = new MapState(scope, 'Stop Services', {
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
