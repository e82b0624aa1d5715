import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import {
  Choice,
  Condition,
  Errors,
  Fail,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { LogSettings } from '../logs/log-settings.ts';
import { awsCall } from './aws-call.ts';
import { endHold, HOLD_ENDED, waitForHoldLimit } from './hold-limit.ts';
import { HOLD_LIMIT } from './hold-services.ts';
import type { MigrationsProps } from './migrations/wait-for-migrations.ts';
import { publishAlert } from './publish-alert.ts';
import { recoverServices } from './recover-services.ts';
import { catchAll } from './retry-and-catch.ts';
import { listSavedStates } from './services/list-saved-states.ts';
import { turnReconciler } from './services/reconciler.ts';
import { grantRestore } from './services/restore-rights.ts';
import {
  deleteState,
  isHoldMarker,
  PARAMETER_MISSING,
  parameterArn,
  putParameter,
  readText,
} from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { ITERATION, startService } from './start-service.ts';
import { HOLD, START_SERVICES } from './state-names.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface StartServicesProps {
  machineName: string;
  services: ServiceTargets;
  startMinutes: number;
  holdMinutes: number;
  /** Pause between two checks of the services. */
  pollSeconds: number;
  /** Name of the state machine `deploy`. */
  deployMachine: string;
  topic: sns.ITopic;
  logs: LogSettings;
  /** To start no service while a migration runs. */
  migrations: MigrationsProps;
}

/** Time for the API calls and for a migration function, in addition to the other deadlines. */
const CALLS_MINUTES = 30;
/** Time for a recovery, in addition to that of its child execution. */
const RECOVERY_MINUTES = 15;

/** Values of `reason` in the input of a recovery: from the rules in lib/recovery, and from the limit of a hold. */
const RECOVERY_REASONS = ['deploy-ended', 'reconcile', 'stack-updated', HOLD_ENDED] as const;
export type RecoveryReason = (typeof RECOVERY_REASONS)[number];

/**
 * The state machine `start-services`. It accepts any input and may run at any time, also twice at once.
 * 1. As a recovery (`reason` in the input): see recover-services.ts. As the limit of a hold: see hold-limit.ts. Otherwise: delete
 *    the marker, or end the hold.
 * 2. List the saved states, because a service that was stopped may have another name since, or not be configured any more.
 * 3. Start each service at the same time: see start-service.ts.
 * 4. Send an alert if a recovery started services, once for each of them.
 * 5. Record the services that did not start, so that the next recovery neither sets their count nor sends an alert again.
 * 6. Enable the schedule of the recovery if a state is still saved, otherwise delete the marker of a hold and disable the schedule.
 */
export class StartServices extends Construct {
  readonly machine: WorkflowMachine;
  private readonly props: StartServicesProps;

  constructor(scope: Construct, id: string, props: StartServicesProps) {
    super(scope, id);
    this.props = props;
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Starts the services that a deploy stopped and restores their saved state',
      definition: this.definition(),
      // The limit of a hold is an execution of this state machine too.
      timeout: timeLimit(props).plus(Duration.minutes(RECOVERY_MINUTES)).plus(minutes(props.holdMinutes)),
      logs: props.logs,
    });
    grantRestore(this, this.machine, props.services);
  }

  private definition(): IChainable {
    const { services, machineName, deployMachine, topic, pollSeconds, holdMinutes } = this.props;
    const timeout = timeLimit(this.props);
    const begin = new Pass(this, START_SERVICES.begin, {
      // No marker has been read yet.
      parameters: { 'input.$': '$', lockChecks: { count: 1 }, marker: { text: '' } },
    });
    // The configured services are in the list in any case, so that their report is complete, also if the listing fails.
    const listed = { names: services.items.map(({ parameter }) => parameter) };
    const configured = services.items;
    const onRequest = new Pass(this, START_SERVICES.startOnRequest, {
      parameters: {
        ...{ recovery: false, listed, configured, request: {} },
        'input.$': '$.input',
        'marker.$': '$.marker.text',
      },
    });
    const asRecovery = new Pass(this, START_SERVICES.startAsRecovery, {
      parameters: {
        recovery: true,
        listed,
        configured,
        'request.$': '$.input.request',
        'input.$': '$.input',
        'marker.$': '$.input.marker',
      },
    });
    const list = this.startAll();
    onRequest.next(list);
    asRecovery.next(list);
    const deleteMarker = deleteState(this, START_SERVICES.deleteMarker, services.marker);
    deleteMarker.addCatch(onRequest, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    deleteMarker.next(onRequest);
    const readMarker = readText(this, START_SERVICES.readMarker, services.marker, '$.marker');
    readMarker.addCatch(onRequest, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    readMarker.next(endHold(this, services, { start: onRequest, notHeld: deleteMarker }));
    const machines = { deploy: deployMachine, startServices: machineName };
    const recovery = recoverServices(this, { services, machines, topic, timeout, pollSeconds });
    const isRecovery = Condition.and(
      Condition.isPresent('$.input.reason'),
      Condition.or(...RECOVERY_REASONS.map((reason) => Condition.stringEquals('$.input.reason', reason))),
    );
    return begin.next(
      new Choice(this, START_SERVICES.startedAsRecovery)
        .when(
          Condition.and(
            isRecovery,
            Condition.isPresent('$.input.request'),
            Condition.isPresent('$.input.marker'),
            Condition.isPresent('$.input.recovery'),
            Condition.booleanEquals('$.input.recovery', true),
          ),
          asRecovery,
        )
        .when(isRecovery, recovery.begin)
        .when(
          Condition.and(
            Condition.isPresent('$.input.reason'),
            Condition.stringEquals('$.input.reason', HOLD_LIMIT),
          ),
          waitForHoldLimit(this, { services, holdMinutes, reached: recovery.limitReached }),
        )
        .otherwise(readMarker),
    );
  }

  private startAll(): IChainable {
    const { services, deployMachine, migrations } = this.props;
    const all = new MapState(this, START_SERVICES.startServices, {
      itemsPath: '$.listed.names',
      itemSelector: ITERATION,
      resultPath: '$.results',
    });
    all.itemProcessor(startService(this, { services, deployMachine, migrations }));
    all.next(this.checkOutcomes());
    return listSavedStates(this, {
      names: START_SERVICES.savedStates,
      path: services.savedStatesPath,
      next: all,
      // An error here must not keep the configured services stopped.
      onError: all,
    });
  }

  private checkOutcomes(): IChainable {
    const record = this.recordIncidents(this.end());
    const check = new Pass(this, START_SERVICES.checkOutcomes, {
      parameters: {
        'services.$': '$.results[*].service',
        'toReport.$': '$.results[?(@.alerted == false)].service',
        'notStarted.$': '$.results[?(@.open == true)].service.name',
        'open.$': '$.results[?(@.open == true)].incident',
        'kept.$': '$.results[?(@.kept == true)].service.name',
        alerted: false,
      },
      resultPath: '$.outcomes',
    });
    const allAlerted = new Pass(this, START_SERVICES.alertSent, {
      parameters: {
        alerted: true,
        'open.$': '$.outcomes.open',
        'kept.$': '$.outcomes.kept',
        'services.$': '$.outcomes.services',
      },
      resultPath: '$.outcomes',
    });
    allAlerted.next(record);
    const isRecovery = Condition.booleanEquals('$.recovery', true);
    const prepare = this.prepareAlert();
    const alert = publishAlert(this, START_SERVICES.alert, this.props.topic);
    alert.addCatch(record, { errors: [Errors.ALL], resultPath: JsonPath.DISCARD });
    for (const alertOf of Object.values(prepare)) alertOf.next(alert);
    alert.next(allAlerted);
    return check.next(
      new Choice(this, START_SERVICES.shouldAlert)
        // Nobody requested the start of a recovery. Who requests a start reads its result.
        .when(Condition.not(isRecovery), record)
        .when(Condition.not(Condition.isPresent('$.outcomes.toReport[0]')), allAlerted)
        .when(Condition.isPresent('$.outcomes.notStarted[0]'), prepare.notStarted)
        .when(Condition.stringEquals('$.input.reason', HOLD_ENDED), prepare.held)
        .otherwise(prepare.started),
    );
  }

  // The messages are one line, because the text of an intrinsic function cannot contain line breaks.
  private prepareAlert(): Record<'started' | 'notStarted' | 'held', Pass> {
    const { services, machineName, holdMinutes } = this.props;
    const { environmentName } = services;
    const found =
      'A deploy stopped services and ended without starting them. The recovery ({}) started them. Services: {}.';
    const read =
      'Read in the execution history of the deploy why it ended. Then start the deploy again. Index builds that were running continue in the database.';
    const held = `A deploy held the services for the deployment of the application, and nobody ended the hold within ${holdMinutes} minutes ("holdMinutes"). The recovery started them on the revision that each service had then.`;
    return {
      held: new Pass(this, START_SERVICES.prepareAlertHeld, {
        parameters: {
          subject: 'pg-deploy-step: a hold ended, the recovery started services',
          'message.$': `States.Format('Environment: ${environmentName}. ${held} Services: {}. What to do next: 1. Find out why the deployment of the application did not end in time, and whether it is still running. 2. If it has not begun, the previous revision runs with the migrated database: deploy the application. 3. If a deployment regularly takes longer, increase "holdMinutes".', States.JsonToString($.outcomes.toReport))`,
        },
        resultPath: '$.alert',
      }),
      started: new Pass(this, START_SERVICES.prepareAlert, {
        parameters: {
          subject: 'pg-deploy-step: the recovery started services',
          'message.$': `States.Format('Environment: ${environmentName}. ${found} What to do next: ${read}', $.input.reason, States.JsonToString($.outcomes.toReport))`,
        },
        resultPath: '$.alert',
      }),
      notStarted: new Pass(this, START_SERVICES.prepareAlertNotStarted, {
        parameters: {
          subject: 'pg-deploy-step: services could NOT be started',
          'message.$': `States.Format('Environment: ${environmentName}. NOT RUNNING as before the deploy: {}. A deploy stopped services and ended without starting them, and the recovery ({}) could not start all of them. Services: {}. What to do next: 1. failed: read its error. not-steady: read the events and the stopped tasks of the service in ECS. 2. Fix the cause. 3. Start an execution of the state machine ${machineName} with the input \\{\\}. 4. If a service no longer exists, delete its saved state: aws ssm delete-parameter --name ${services.savedStatesPath}/NAME. The schedule checks every 10 minutes. It sends no further alert about these services and sets no count again. ${read}', States.JsonToString($.outcomes.notStarted), $.input.reason, States.JsonToString($.outcomes.toReport))`,
        },
        resultPath: '$.alert',
      }),
    };
  }

  /** Records each service that did not start, with what the next recovery need not do again. */
  private recordIncidents(next: IChainable): IChainable {
    const { services } = this.props;
    const record = putParameter(this, START_SERVICES.recordIncident, services.incident, {
      value: JsonPath.jsonToString(JsonPath.objectAt('$.record')),
      overwrite: true,
    });
    const recorded = new Pass(this, START_SERVICES.incidentRecorded, { parameters: {} });
    // The next recovery then starts the service again and sends an alert again, which is better than nothing.
    catchAll(record, new Pass(this, START_SERVICES.incidentNotRecorded, { parameters: {} }), '$.ignored');
    const all = new MapState(this, START_SERVICES.recordIncidents, {
      itemsPath: '$.outcomes.open',
      itemSelector: {
        'name.$': '$$.Map.Item.Value.name',
        record: {
          'execution.$': '$$.Map.Item.Value.execution',
          'counted.$': '$$.Map.Item.Value.counted',
          'alerted.$': '$.outcomes.alerted',
        },
      },
      resultPath: JsonPath.DISCARD,
    });
    all.itemProcessor(record.next(recorded));
    all.next(next);
    return new Choice(this, START_SERVICES.shouldRecordIncidents)
      .when(Condition.isPresent('$.outcomes.open[0]'), all)
      .otherwise(next);
  }

  private end(): IChainable {
    const started = new Pass(this, START_SERVICES.started, {
      parameters: { 'services.$': '$.outcomes.services', 'marker.$': '$.marker' },
    });
    const incomplete = new Fail(this, START_SERVICES.listIncomplete, {
      error: 'SavedStatesNotListed',
      cause:
        'The configured services were started. Whether other services are stopped is unknown, because Parameter Store did not list the saved states: see the state "List Saved States".',
    });
    return new Choice(this, START_SERVICES.isListComplete)
      .when(Condition.isPresent('$.listFailure'), incomplete)
      .otherwise(this.switchReconciler(started));
  }

  /**
   * Disables the schedule of the recovery if nothing is saved. A deploy saves the state of its services before it enables
   * the schedule. Therefore the states are listed after it was disabled: one of the two enables it in any case.
   */
  private switchReconciler(next: IChainable): IChainable {
    const { services } = this.props;
    const disable = turnReconciler(this, START_SERVICES.disableReconciler, services, false);
    const enable = turnReconciler(this, START_SERVICES.enableReconciler, services, true);
    const list = awsCall(this, START_SERVICES.listRemaining, {
      api: 'ssm',
      action: 'getParametersByPath',
      iamResources: [parameterArn(this, services.savedStatesPath)],
      parameters: { Path: services.savedStatesPath, MaxResults: 1 },
      result: {
        path: '$.remaining',
        selector: { 'names.$': '$.Parameters[*].Name', 'token.$': '$..NextToken' },
      },
    });
    // An enabled schedule costs little, and a missing one would leave services stopped.
    catchAll(disable, enable, '$.ignored');
    catchAll(list, enable, '$.ignored');
    catchAll(enable, next, '$.ignored');
    enable.next(next);
    disable.next(list).next(
      new Choice(this, START_SERVICES.isAnythingSaved)
        .when(
          Condition.or(
            Condition.isPresent('$.remaining.names[0]'),
            // A page can be empty and still not be the last one.
            Condition.isPresent('$.remaining.token[0]'),
          ),
          enable,
        )
        .otherwise(next),
    );
    // Not before all services have started: see endHold.
    const deleteMarker = deleteState(this, HOLD.deleteMarker, services.marker);
    // The next start deletes it.
    catchAll(deleteMarker, disable, '$.ignored');
    deleteMarker.next(disable);
    return new Choice(this, START_SERVICES.isAnythingKept)
      .when(Condition.isPresent('$.outcomes.kept[0]'), enable)
      .when(isHoldMarker('$.marker'), deleteMarker)
      .otherwise(disable);
  }
}

/**
 * The longest start: a migration task stops within `stopMinutes`, then the services become steady within `startMinutes`.
 * In whole seconds, as Step Functions expects: the configured minutes can be fractions.
 */
function timeLimit({ startMinutes, migrations }: StartServicesProps): Duration {
  return minutes(startMinutes + migrations.environment.stopMinutes + CALLS_MINUTES);
}

function minutes(count: number): Duration {
  return Duration.seconds(Math.ceil(count * 60));
}
