import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { listSavedStates } from './services/list-saved-states.ts';
import { turnReconciler } from './services/reconciler.ts';
import {
  deleteState,
  isCompletedDeploy,
  PARAMETER_EXISTS,
  PARAMETER_MISSING,
  readState,
  readText,
  saveState,
} from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { WINDOW } from './state-names.ts';

/** The window changes nothing: it is that of a plan. */
export const IS_REHEARSAL = Condition.booleanEquals('$.rehearsal', true);

/**
 * Saves the state of all services in Parameter Store, before the first one is stopped:
 * 1. Find saved states of an earlier deploy under other names: a service can have been renamed while it was stopped. Then
 *    its current count is 0, and the saved one is the count to restore.
 * 2. Save the state of each service.
 * 3. Enable the schedule of the recovery. Only now, because a recovery without saved states disables it.
 * Reads `$.checked`, `$.deploy` and `$.execution`, writes `service`, `current` and `stateToSave` of each service to
 * `$.saved`.
 * A rehearsal only lists the saved states in `$.listed.names`, and reads the marker into `$.marker.text`.
 * @returns the first states
 */
export function saveServices(
  scope: Construct,
  services: ServiceTargets,
  next: Record<'saved' | 'rehearsed', IChainable>,
): Record<'save' | 'rehearse', IChainable> {
  const enable = turnReconciler(scope, WINDOW.enableReconciler, services, true);
  enable.next(next.saved);
  const save = saveAll(scope, services);
  save.next(
    new Choice(scope, WINDOW.anyRenamed)
      .when(Condition.isPresent('$.others[0]'), deleteRenamed(scope, services, enable))
      .otherwise(enable),
  );
  const count = new Pass(scope, WINDOW.countSavedStates, {
    parameters: { count: JsonPath.arrayLength(JsonPath.listAt('$.listed.names')) },
    resultPath: '$.listed.total',
  });
  count.next(
    new Choice(scope, WINDOW.anyOtherName)
      .when(IS_REHEARSAL, readMarker(scope, services, next.rehearsed))
      .when(
        Condition.numberGreaterThan('$.listed.total.count', services.items.length),
        readOthers(scope, services, findRenamed(scope, save)),
      )
      .otherwise(save),
  );
  const begin = new Pass(scope, WINDOW.beginSaving, {
    parameters: { names: services.items.map(({ parameter }) => parameter) },
    resultPath: '$.listed',
  });
  const list = listSavedStates(scope, {
    names: WINDOW.savedStates,
    path: services.savedStatesPath,
    next: count,
  });
  // Only those that exist.
  const rehearse = new Pass(scope, WINDOW.rehearsal.begin, {
    parameters: { names: [] },
    resultPath: '$.listed',
  });
  return { save: begin.next(list), rehearse: rehearse.next(list) };
}

/** Reads the marker into `$.marker.text`. Empty: there is none. */
function readMarker(scope: Construct, services: ServiceTargets, next: IChainable): IChainable {
  const read = readText(scope, WINDOW.rehearsal.readMarker, services.marker, '$.marker');
  const none = new Pass(scope, WINDOW.rehearsal.noMarker, {
    parameters: { text: '' },
    resultPath: '$.marker',
  });
  read.addCatch(none, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  none.next(next);
  return read.next(next);
}

/** Saves each state. Without an error, a service has a saved state before it is stopped. */
function saveAll(scope: Construct, services: ServiceTargets): MapState {
  const saved = new Pass(scope, WINDOW.serviceSaved, {
    parameters: { 'service.$': '$.service', 'current.$': '$.current', 'stateToSave.$': '$.stateToSave' },
  });
  // The saved state contains all that a restore needs, because the service can have another name in the configuration then,
  // or be missing there.
  const recordCurrent = new Pass(scope, WINDOW.recordCurrentState, {
    parameters: {
      'service.$': '$.service',
      'current.$': '$.toRestore',
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
      'service.$': '$.service',
      'current.$': '$.savedState.value.current',
      'stoppedAt.$': '$.savedState.value.stoppedAt',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.stateToSave',
  });
  // Someone else has raised the count since, for example the deployment of the application in a hold: now the service runs with
  // that one. Its scaling is still as that deploy left it.
  const useRaised = new Pass(scope, WINDOW.useRaisedCount, {
    parameters: {
      'service.$': '$.service',
      current: {
        'desiredCount.$': '$.current.desiredCount',
        'taskDefinition.$': '$.current.taskDefinition',
        'scaling.$': '$.savedState.value.current.scaling',
      },
      'stoppedAt.$': '$.savedState.value.stoppedAt',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.stateToSave',
  });
  const saveEarlier = saveState(scope, WINDOW.saveEarlierState, services.savedState, true);
  recordCurrent.next(save).next(saved);
  useRaised.next(saveEarlier);
  save.addCatch(readEarlier, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
  useEarlier.next(saveEarlier).next(saved);
  const wasRaised = new Choice(scope, WINDOW.wasRaised).when(HAS_MORE_TASKS, useRaised);
  if (services.withRevisions.length > 0) {
    wasRaised.when(HAS_REVISION, dueRevision(scope, services, { due: saveEarlier, notDue: useEarlier }));
  }
  readEarlier.next(wasRaised.otherwise(useEarlier));

  const map = new MapState(scope, WINDOW.saveServices, {
    comment: 'Saves the state of all services before the first one is stopped',
    itemsPath: '$.checked',
    itemSelector: {
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
      'service.$': '$$.Map.Item.Value.service',
      'current.$': '$$.Map.Item.Value.current',
      'toRestore.$': '$$.Map.Item.Value.toRestore',
    },
    resultPath: '$.saved',
  });
  map.itemProcessor(recordCurrent);
  return map;
}

const SAVED = '$.savedState.value.current';
const isCount = (path: string) => Condition.and(Condition.isPresent(path), Condition.isNumeric(path));

/** An ECS service has a higher desired count than the one that an earlier deploy saved. */
const HAS_MORE_TASKS = Condition.and(
  isCount('$.current.desiredCount'),
  isCount(`${SAVED}.desiredCount`),
  Condition.isPresent(`${SAVED}.scaling`),
  Condition.numberGreaterThanJsonPath('$.current.desiredCount', `${SAVED}.desiredCount`),
);

/** The deploy that stopped an ECS service named a revision for it. */
const HAS_REVISION = Condition.and(
  Condition.isPresent('$.savedState.value.service.revision.to[0]'),
  isCount('$.current.desiredCount'),
  isCount(`${SAVED}.desiredCount`),
  Condition.isPresent(`${SAVED}.scaling`),
  // Otherwise it has started meanwhile, on that revision or on another one.
  Condition.numberEquals('$.current.desiredCount', 0),
);

/**
 * Adds the revision of an earlier deploy to the saved state as `due`, if that deploy has ended its window and holds the service. Its
 * migrations are applied, so the service comes back on that revision, also if this deploy fails.
 */
function dueRevision(
  scope: Construct,
  services: ServiceTargets,
  next: { due: IChainable; notDue: IChainable },
): IChainable {
  const read = readText(scope, WINDOW.dueRevision.read, services.completed, '$.completed');
  read.addCatch(next.notDue, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  const use = new Pass(scope, WINDOW.dueRevision.use, {
    parameters: {
      'service.$': '$.service',
      current: {
        'desiredCount.$': `${SAVED}.desiredCount`,
        'taskDefinition.$': '$.current.taskDefinition',
        'scaling.$': `${SAVED}.scaling`,
        'due.$': '$.savedState.value.service.revision.to',
      },
      'stoppedAt.$': '$.savedState.value.stoppedAt',
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
    },
    resultPath: '$.stateToSave',
  });
  use.next(next.due);
  read.next(
    new Choice(scope, WINDOW.dueRevision.isDue)
      .when(isCompletedDeploy('$.completed.text', '$.savedState.value.execution'), use)
      .otherwise(next.notDue),
  );
  return read;
}

/** Reads all saved states into `$.others`, with the resources to which they belong. */
function readOthers(scope: Construct, services: ServiceTargets, next: IChainable): IChainable {
  const read = readState(scope, WINDOW.readOther, services.anySavedState);
  const none = new Pass(scope, WINDOW.noOtherState, { parameters: {} });
  read.addCatch(none, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  read.next(
    new Choice(scope, WINDOW.isOtherReadable)
      .when(
        Condition.and(
          Condition.isPresent('$.savedState.value.service.resource'),
          Condition.isPresent('$.savedState.value.current'),
        ),
        new Pass(scope, WINDOW.otherState, {
          parameters: {
            state: {
              'parameter.$': '$.parameter',
              'resource.$': '$.savedState.value.service.resource',
              'current.$': '$.savedState.value.current',
            },
          },
        }),
      )
      // A state of an earlier version belongs to the configured service with its name.
      .otherwise(none),
  );
  const all = new MapState(scope, WINDOW.readOthers, {
    itemsPath: '$.listed.names',
    itemSelector: { 'parameter.$': '$$.Map.Item.Value' },
    resultPath: '$.read',
  });
  all.itemProcessor(read);
  const collect = new Pass(scope, WINDOW.collectOthers, {
    inputPath: '$.read[*].state',
    resultPath: '$.others',
  });
  all.next(collect).next(next);
  return all;
}

/** The fields of an item of `$.checked` that stay, because the report reads them too. */
const CHECKED = Object.fromEntries(
  ['name', 'usable', 'reason', 'waited', 'service', 'current'].map((field) => [
    `${field}.$`,
    `$.checked.${field}`,
  ]),
);

/** Replaces `toRestore` of each service that an earlier deploy saved under another name. */
function findRenamed(scope: Construct, next: IChainable): IChainable {
  const compare = new MapState(scope, WINDOW.compareStates, {
    itemsPath: '$.others',
    itemSelector: { 'other.$': '$$.Map.Item.Value', 'service.$': '$.checked.service' },
    resultPath: '$.compared',
  });
  compare.itemProcessor(
    new Choice(scope, WINDOW.isSameService)
      .when(
        Condition.and(
          Condition.stringEqualsJsonPath('$.other.resource', '$.service.resource'),
          Condition.not(Condition.stringEqualsJsonPath('$.other.parameter', '$.service.parameter')),
        ),
        new Pass(scope, WINDOW.sameService, { parameters: { 'match.$': '$.other' } }),
      )
      .otherwise(new Pass(scope, WINDOW.differentService, { parameters: {} })),
  );
  const collect = new Pass(scope, WINDOW.collectMatches, {
    inputPath: '$.compared[*].match',
    resultPath: '$.matches',
  });
  compare.next(collect).next(
    new Choice(scope, WINDOW.wasRenamed)
      .when(
        Condition.isPresent('$.matches[0]'),
        new Pass(scope, WINDOW.useStateOfOtherName, {
          parameters: {
            ...CHECKED,
            'toRestore.$': '$.matches[0].current',
            'renamed.$': '$.matches[*].parameter',
          },
        }),
      )
      .otherwise(
        new Pass(scope, WINDOW.notRenamed, {
          parameters: {
            ...CHECKED,
            'toRestore.$': '$.checked.current',
            renamed: [],
          },
        }),
      ),
  );
  const all = new MapState(scope, WINDOW.compareServices, {
    itemsPath: '$.checked',
    itemSelector: { 'checked.$': '$$.Map.Item.Value', 'others.$': '$.others' },
    resultPath: '$.checked',
  });
  all.itemProcessor(compare);
  all.next(next);
  return all;
}

/** Deletes the states under the other names, now that they are saved under the configured ones. */
function deleteRenamed(scope: Construct, services: ServiceTargets, next: IChainable): IChainable {
  const deleteOther = deleteState(scope, WINDOW.deleteOther, services.anySavedState);
  const deleted = new Pass(scope, WINDOW.otherDeleted, { parameters: {} });
  deleteOther.addCatch(deleted, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  const list = new Pass(scope, WINDOW.listRenamed, {
    inputPath: '$.checked[*].renamed[*]',
    resultPath: '$.renamed',
  });
  const all = new MapState(scope, WINDOW.deleteRenamed, {
    itemsPath: '$.renamed',
    itemSelector: { 'parameter.$': '$$.Map.Item.Value' },
    resultPath: JsonPath.DISCARD,
  });
  all.itemProcessor(deleteOther.next(deleted));
  list.next(all).next(next);
  return list;
}
