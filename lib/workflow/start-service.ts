import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from './aws-call.ts';
import { type MigrationsProps, WINDOW_ENDED, waitForMigrations } from './migrations/wait-for-migrations.ts';
import { NULL } from './null-parameters.ts';
import { catchAll } from './retry-and-catch.ts';
import { deleteState, PARAMETER_MISSING, readParameter, readState } from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { executionsArn } from './start-execution.ts';
import { START_SERVICES } from './state-names.ts';

const PARTS_OF_NAME = "States.StringSplit($$.Map.Item.Value, '/')";

/** The input of an iteration of Start Services, for the name of a saved state in `$$.Map.Item.Value`. */
export const ITERATION = {
  recovery: JsonPath.objectAt('$.recovery'),
  request: JsonPath.objectAt('$.request'),
  parameter: JsonPath.stringAt('$$.Map.Item.Value'),
  // The last part of /pg-deploy-step/ENVIRONMENT/services/NAME.
  'name.$': `States.ArrayGetItem(${PARTS_OF_NAME}, States.MathAdd(States.ArrayLength(${PARTS_OF_NAME}), -1))`,
  configured: JsonPath.listAt('$.configured'),
  // What the last states read if no saved state was read.
  savedState: { value: { stoppedAt: NULL, execution: NULL } },
  counted: { set: false },
  incident: { known: false, alerted: false },
  /** The text of the marker: the services were held if it is that of a hold. */
  marker: JsonPath.stringAt('$.marker'),
  /** The desired count that someone else has set while the service was held. */
  raised: { count: NULL },
  /** What the checks of an ECS service read. */
  tasks: { revision: [] },
  /** The revision that an ECS service has to get, and why it did not get it. */
  revision: { arn: NULL },
  revisionFailure: NULL,
};

export interface StartServiceProps {
  services: ServiceTargets;
  /** Name of the state machine `deploy`. */
  deployMachine: string;
  migrations: MigrationsProps;
}

/**
 * The states that start one service from its saved state, whether or not it is still configured:
 * 1. Read the saved state. Without one, the service was not stopped and is not changed.
 * 2. As a recovery: leave the service to the deploy that stopped it while that deploy is running.
 * 3. Wait until no migration runs any more.
 * 4. Start the service, wait until it is steady, restore its scaling, delete its saved state.
 * An error of any kind ends with the outcome `failed`. It never ends the start of the other services.
 * @returns the first state. The output has `service` for the report, and for the recovery: `incident`, whether it is `open`,
 * and whether no alert is needed (`alerted`). `kept`: it still has a saved state
 */
export function startService(scope: Construct, props: StartServiceProps): IChainable {
  const { services, deployMachine } = props;
  const failed = ended(scope, START_SERVICES.failed, 'failed', { open: true, error: '$.failure' });
  const read = readState(scope, START_SERVICES.readState, services.anySavedState);
  read.addCatch(unchanged(scope, START_SERVICES.nothingSaved, 'nothing-saved', { kept: false }), {
    errors: PARAMETER_MISSING,
    resultPath: JsonPath.DISCARD,
  });
  catchAll(read, failed, '$.failure');

  const start = whichKind(scope, services, failed);
  const whenMigrationsEnded = waitForMigrations(scope, {
    ...props.migrations,
    stillRunningPath: '$.migrationStillRunning',
    isFunctionCalled: 'unknown',
    next: start,
  });
  const isRecovery = new Choice(scope, START_SERVICES.isRecovery)
    .when(
      Condition.booleanEquals('$.recovery', true),
      unlessDeployRuns(scope, { services, deployMachine, start: whenMigrationsEnded, failed }),
    )
    .when(WINDOW_ENDED, start)
    .otherwise(whenMigrationsEnded);

  const unreadable = unreadableState(scope, failed);
  const useSaved = new Pass(scope, START_SERVICES.useSavedService, {
    inputPath: '$.savedState.value.service',
    resultPath: '$.service',
  });
  useSaved.next(isRecovery);
  const isText = (path: string) => Condition.and(Condition.isPresent(path), Condition.isString(path));
  const has = {
    state: Condition.and(
      isText('$.savedState.value.stoppedAt'),
      isText('$.savedState.value.execution'),
      Condition.isPresent('$.savedState.value.current'),
    ),
    service: isText('$.savedState.value.service.kind'),
  };
  read.next(
    new Choice(scope, START_SERVICES.isReadable)
      .when(Condition.not(has.state), unreadable)
      .when(has.service, useSaved)
      .otherwise(configuredService(scope, { found: isRecovery, missing: unreadable })),
  );
  return read;
}

/** The saved states of earlier versions contain no service: it is the configured one with the name of the parameter. */
function configuredService(scope: Construct, next: { found: IChainable; missing: IChainable }): IChainable {
  const find = new MapState(scope, START_SERVICES.findConfigured, {
    itemsPath: '$.configured',
    itemSelector: { 'parameter.$': '$.parameter', 'service.$': '$$.Map.Item.Value' },
    resultPath: '$.found',
  });
  find.itemProcessor(
    new Choice(scope, START_SERVICES.isSameParameter)
      .when(
        Condition.stringEqualsJsonPath('$.service.parameter', '$.parameter'),
        new Pass(scope, START_SERVICES.isConfigured),
      )
      .otherwise(new Pass(scope, START_SERVICES.isOther, { parameters: {} })),
  );
  const collect = new Pass(scope, START_SERVICES.collectConfigured, {
    parameters: { 'services.$': '$.found[*].service' },
    resultPath: '$.found',
  });
  const use = new Pass(scope, START_SERVICES.useConfigured, {
    inputPath: '$.found.services[0]',
    resultPath: '$.service',
  });
  use.next(next.found);
  find
    .next(collect)
    .next(
      new Choice(scope, START_SERVICES.configuredFound)
        .when(Condition.isPresent('$.found.services[0]'), use)
        .otherwise(next.missing),
    );
  return find;
}

/** The parameter was changed by hand, or it is an old one of a service that is no longer configured. */
function unreadableState(scope: Construct, failed: IChainable): Pass {
  const unreadable = new Pass(scope, START_SERVICES.unreadable, {
    parameters: {
      recovery: JsonPath.objectAt('$.recovery'),
      name: JsonPath.stringAt('$.name'),
      savedState: { value: { stoppedAt: NULL, execution: NULL } },
      counted: JsonPath.objectAt('$.counted'),
      incident: JsonPath.objectAt('$.incident'),
      raised: JsonPath.objectAt('$.raised'),
      tasks: JsonPath.objectAt('$.tasks'),
      revision: JsonPath.objectAt('$.revision'),
      revisionFailure: JsonPath.objectAt('$.revisionFailure'),
      failure: {
        Error: 'SavedStateUnreadable',
        'Cause.$':
          "States.Format('the parameter {} does not contain what is needed to start the service', $.parameter)",
      },
    },
  });
  unreadable.next(failed);
  return unreadable;
}

function whichKind(scope: Construct, services: ServiceTargets, failed: Pass): Choice {
  const steady = new Pass(scope, START_SERVICES.steady, {
    parameters: { outcome: 'started', 'startedAt.$': '$$.State.EnteredTime' },
    resultPath: '$.result',
  });
  const late = new Pass(scope, START_SERVICES.notSteady, {
    parameters: { outcome: 'not-steady', startedAt: NULL },
    resultPath: '$.result',
  });
  const isSteady = afterScaling(scope, services, failed);
  const afterStart = new Choice(scope, START_SERVICES.whichKindStarted);
  const start = new Choice(scope, START_SERVICES.whichKindToStart);
  for (const kind of services.allKinds) {
    const isKind = Condition.stringEquals('$.service.kind', kind.kind);
    start.when(Condition.and(isKind, kind.canBeStarted), kind.start(scope, { steady, late, failed }));
    const resume = kind.afterStart?.(scope, { steady: isSteady, failed });
    if (resume !== undefined) afterStart.when(isKind, resume);
  }
  steady.next(afterStart.otherwise(isSteady));
  late.next(afterStart);
  const unknown = new Pass(scope, START_SERVICES.unknownKind, {
    parameters: {
      Error: 'SavedStateUnreadable',
      'Cause.$':
        "States.Format('the saved state of a service of the kind {} does not contain what is needed to start it', $.service.kind)",
    },
    resultPath: '$.failure',
  });
  return start.otherwise(unknown.next(failed));
}

/** Deletes the saved state of a steady service. That of any other is kept, so that the next recovery starts it again. */
function afterScaling(scope: Construct, services: ServiceTargets, failed: Pass): Choice {
  const done = ended(scope, START_SERVICES.serviceDone, '$.result.outcome', { open: false });
  const notSteady = ended(scope, START_SERVICES.serviceNotDone, '$.result.outcome', { open: true });
  const deleteIncident = deleteState(scope, START_SERVICES.deleteIncident, services.incident);
  // A recorded incident of another execution has no effect.
  catchAll(deleteIncident, done, '$.ignored');
  const hasIncident = new Choice(scope, START_SERVICES.hasIncident)
    .when(Condition.booleanEquals('$.incident.known', true), deleteIncident.next(done))
    .otherwise(done);
  const deleteSaved = deleteState(scope, START_SERVICES.deleteState, services.anySavedState);
  // Another execution may have deleted the saved state in the meantime.
  deleteSaved.addCatch(hasIncident, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  catchAll(deleteSaved, failed, '$.failure');
  deleteSaved.next(hasIncident);
  // While this execution waited for the service, a new deploy can have saved the state and be about to stop the service.
  const readAgain = readParameter(scope, START_SERVICES.readAgain, services.anySavedState, '$.again');
  readAgain.addCatch(hasIncident, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  catchAll(readAgain, failed, '$.failure');
  const execution = '$.again.value.execution';
  readAgain.next(
    new Choice(scope, START_SERVICES.isSameDeploy)
      .when(
        Condition.and(
          Condition.isPresent(execution),
          Condition.isString(execution),
          Condition.stringEqualsJsonPath(execution, '$.savedState.value.execution'),
        ),
        deleteSaved,
      )
      .otherwise(unchanged(scope, START_SERVICES.savedByOtherDeploy, 'deploy-running', { kept: true })),
  );
  return new Choice(scope, START_SERVICES.isSteady)
    .when(Condition.stringEquals('$.result.outcome', 'started'), readAgain)
    .otherwise(notSteady);
}

interface UnlessDeployRuns {
  services: ServiceTargets;
  deployMachine: string;
  start: IChainable;
  failed: IChainable;
}

/** A recovery does not start the services of a deploy that is still running. */
function unlessDeployRuns(scope: Construct, props: UnlessDeployRuns): IChainable {
  const { services, start, failed } = props;
  const describe = awsCall(scope, START_SERVICES.describeDeploy, {
    api: 'sfn',
    action: 'describeExecution',
    iamResources: [executionsArn(scope, props.deployMachine)],
    parameters: { ExecutionArn: JsonPath.stringAt('$.savedState.value.execution') },
    result: { path: '$.deploy', selector: { 'status.$': '$.Status' } },
  });
  const readIncident = readParameter(scope, START_SERVICES.readIncident, services.incident, '$.recorded');
  const known = new Pass(scope, START_SERVICES.knownIncident, {
    parameters: {
      known: true,
      'alerted.$': '$.recorded.value.alerted',
      'set.$': '$.recorded.value.counted',
    },
    resultPath: '$.incident',
  });
  const keepCount = new Pass(scope, START_SERVICES.useCountOfIncident, {
    inputPath: '$.incident',
    resultPath: '$.counted',
  });
  known.next(keepCount).next(start);
  // Without a record the incident is a new one, for which the service is started and an alert is sent.
  catchAll(readIncident, start, '$.ignored');
  const recorded = (field: string, isType: (path: string) => Condition) =>
    Condition.and(Condition.isPresent(`$.recorded.value.${field}`), isType(`$.recorded.value.${field}`));
  readIncident.next(
    new Choice(scope, START_SERVICES.isSameIncident)
      .when(
        Condition.and(
          recorded('alerted', Condition.isBoolean),
          recorded('counted', Condition.isBoolean),
          recorded('execution', Condition.isString),
          Condition.stringEqualsJsonPath('$.recorded.value.execution', '$.savedState.value.execution'),
        ),
        known,
      )
      .otherwise(start),
  );
  // Step Functions deletes an execution 90 days after its end.
  describe.addCatch(readIncident, {
    errors: ['Sfn.ExecutionDoesNotExistException'],
    resultPath: JsonPath.DISCARD,
  });
  catchAll(describe, failed, '$.failure');
  describe.next(
    new Choice(scope, START_SERVICES.isDeployRunning)
      .when(
        Condition.stringEquals('$.deploy.status', 'RUNNING'),
        unchanged(scope, START_SERVICES.deployStillRunning, 'deploy-running', { kept: true }),
      )
      .otherwise(readIncident),
  );
  // DescribeExecution is eventually consistent: the deploy whose end was reported can still look as if it was running.
  return new Choice(scope, START_SERVICES.hasDeployEnded)
    .when(
      Condition.and(
        Condition.isPresent('$.request.deploy'),
        Condition.isPresent('$.savedState.value.deploy'),
        Condition.stringEqualsJsonPath('$.request.deploy', '$.savedState.value.deploy'),
      ),
      readIncident,
    )
    .otherwise(describe);
}

function unchanged(scope: Construct, id: string, outcome: string, { kept }: { kept: boolean }): Pass {
  return new Pass(scope, id, {
    parameters: {
      service: { 'name.$': '$.name', outcome, startedAt: NULL, stoppedAt: NULL, error: NULL },
      alerted: true,
      open: false,
      kept,
    },
  });
}

/**
 * The output of an iteration.
 * @param outcome or the path of it; with a path, `$.result.startedAt` is read too
 * @param props.open the service did not start, so its saved state is kept
 * @param props.error path of the error @default null
 */
function ended(
  scope: Construct,
  id: string,
  outcome: string,
  { open, error }: { open: boolean; error?: string },
): Pass {
  const isPath = outcome.startsWith('$');
  return new Pass(scope, id, {
    parameters: {
      service: {
        'name.$': '$.name',
        ...(isPath
          ? { 'outcome.$': outcome, 'startedAt.$': '$.result.startedAt' }
          : { outcome, startedAt: NULL }),
        'stoppedAt.$': '$.savedState.value.stoppedAt',
        'raisedTo.$': '$.raised.count',
        // Lists, because not all services have a task definition, and not all deploys name a revision.
        revision: {
          'from.$': '$.savedState.value..taskDefinition[0]',
          'requested.$': '$.savedState.value..to[0]',
          'wanted.$': '$.revision.arn',
          'to.$': '$.tasks.revision',
          'error.$': '$.revisionFailure',
        },
        ...(error === undefined ? { error: NULL } : { 'error.$': error }),
      },
      incident: {
        'name.$': '$.name',
        'execution.$': '$.savedState.value.execution',
        'counted.$': '$.counted.set',
      },
      'alerted.$': '$.incident.alerted',
      open,
      kept: open,
    },
  });
}
