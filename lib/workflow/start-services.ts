import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import {
  Choice,
  Condition,
  Errors,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { LogSettings } from '../logs/log-settings.ts';
import { awsCall } from './aws-call.ts';
import { type MigrationsProps, WINDOW_ENDED, waitForMigrations } from './migrations/wait-for-migrations.ts';
import { NULL } from './null-parameters.ts';
import { publishAlert } from './publish-alert.ts';
import { deleteState, PARAMETER_MISSING, readState } from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { executionsArn } from './start-execution.ts';
import { START_SERVICES } from './state-names.ts';
import { chooseKind } from './stop-services.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface StartServicesProps {
  machineName: string;
  services: ServiceTargets;
  startMinutes: number;
  /** Name of the state machine `deploy`. */
  deployMachine: string;
  topic: sns.ITopic;
  logs: LogSettings;
  migrations: MigrationsProps;
}

/** Time for the API calls, in addition to the deadline for steady services. */
const CALLS_MINUTES = 30;

/** Values of `reason` in the input of a recovery: from the rule for failed deploys, and from the schedule. */
const RECOVERY_REASONS = ['deploy-ended', 'reconcile'] as const;
export type RecoveryReason = (typeof RECOVERY_REASONS)[number];

/**
 * The state machine `start-services`. It accepts any input and may run at any time, also twice at once.
 * 1. As a recovery (`reason` in the input): end if the marker says that the services are left stopped deliberately.
 *    Otherwise: delete the marker.
 * 2. For each service at the same time: read its saved state. A service without a saved state was not stopped and is
 *    not changed. A recovery does not change a service whose deploy is still running.
 * 3. Start the service, wait until it is steady, restore its scaling, delete its saved state.
 * 4. Send an alert if a recovery started services.
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
      definition: props.services.items.length === 0 ? this.nothing() : this.startAll(),
      timeout: Duration.minutes(props.startMinutes + CALLS_MINUTES),
      logs: props.logs,
    });
  }

  private nothing(): IChainable {
    return new Pass(this, START_SERVICES.noneConfigured, { parameters: { services: [] } });
  }

  private startAll(): IChainable {
    const { services } = this.props;
    const begin = new Pass(this, START_SERVICES.begin, { parameters: { 'input.$': '$' } });
    const onRequest = new Pass(this, START_SERVICES.startOnRequest, {
      parameters: { recovery: false, services: services.items, input: {} },
    });
    const asRecovery = new Pass(this, START_SERVICES.startAsRecovery, {
      parameters: { recovery: true, services: services.items, 'input.$': '$.input' },
    });
    const deleteMarker = deleteState(this, START_SERVICES.deleteMarker, services.marker);
    deleteMarker.addCatch(onRequest, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    const readMarker = readState(this, START_SERVICES.readMarker, services.marker);
    readMarker.addCatch(asRecovery, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    const leftStopped = new Pass(this, START_SERVICES.leftStopped, { parameters: { services: [] } });
    readMarker.next(leftStopped);

    const all = new MapState(this, START_SERVICES.startServices, {
      itemsPath: '$.services',
      itemSelector: {
        'recovery.$': '$.recovery',
        'input.$': '$.input',
        'service.$': '$$.Map.Item.Value',
      },
      resultPath: '$.services',
    });
    all.itemProcessor(this.startOne());
    deleteMarker.next(onRequest).next(all);
    asRecovery.next(all);
    all.next(this.sendAlert());
    return begin.next(
      new Choice(this, START_SERVICES.startedAsRecovery)
        .when(
          Condition.and(
            Condition.isPresent('$.input.reason'),
            Condition.or(
              ...RECOVERY_REASONS.map((reason) => Condition.stringEquals('$.input.reason', reason)),
            ),
          ),
          readMarker,
        )
        .otherwise(deleteMarker),
    );
  }

  private startOne(): IChainable {
    const { services } = this.props;
    const read = readState(this, START_SERVICES.readState, services.savedState);
    read.addCatch(this.unchanged(START_SERVICES.nothingSaved, 'nothing-saved'), {
      errors: PARAMETER_MISSING,
      resultPath: JsonPath.DISCARD,
    });

    const steady = new Pass(this, START_SERVICES.steady, {
      parameters: { outcome: 'started', 'startedAt.$': '$$.State.EnteredTime' },
      resultPath: '$.result',
    });
    const late = new Pass(this, START_SERVICES.notSteady, {
      parameters: { outcome: 'not-steady', startedAt: NULL },
      resultPath: '$.result',
    });
    const start = chooseKind(this, START_SERVICES.whichKindToStart, services, (kind) =>
      kind.start(this, { steady, late }),
    );
    const whenMigrationsEnded = waitForMigrations(this, {
      ...this.props.migrations,
      stillRunningPath: '$.migrationStillRunning',
      next: start,
    });

    const deleteSaved = deleteState(this, START_SERVICES.deleteState, services.savedState);
    const done = new Pass(this, START_SERVICES.serviceDone, {
      parameters: {
        'name.$': '$.service.name',
        'outcome.$': '$.result.outcome',
        'startedAt.$': '$.result.startedAt',
        'stoppedAt.$': '$.savedState.value.stoppedAt',
      },
    });
    // Another execution may have deleted the saved state in the meantime.
    deleteSaved.addCatch(done, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    deleteSaved.next(done);
    // The saved state of a service that is not steady is kept, so that the next recovery starts the service again.
    const isSteady = new Choice(this, START_SERVICES.isSteady)
      .when(Condition.stringEquals('$.result.outcome', 'started'), deleteSaved)
      .otherwise(done);
    const afterStart = chooseKind(
      this,
      START_SERVICES.whichKindStarted,
      services,
      (kind) => kind.afterStart?.(this, isSteady) ?? isSteady,
    );
    steady.next(afterStart);
    late.next(afterStart);

    return read.next(
      new Choice(this, START_SERVICES.isRecovery)
        .when(Condition.booleanEquals('$.recovery', true), this.unlessDeployRuns(whenMigrationsEnded))
        .when(WINDOW_ENDED, start)
        .otherwise(whenMigrationsEnded),
    );
  }

  /** A recovery does not start the services of a deploy that is still running. */
  private unlessDeployRuns(start: IChainable): IChainable {
    const describe = awsCall(this, START_SERVICES.describeDeploy, {
      api: 'sfn',
      action: 'describeExecution',
      iamResources: [executionsArn(this, this.props.deployMachine)],
      parameters: { ExecutionArn: JsonPath.stringAt('$.savedState.value.execution') },
      result: { path: '$.deploy', selector: { 'status.$': '$.Status' } },
    });
    // Step Functions deletes an execution 90 days after its end.
    describe.addCatch(start, {
      errors: ['Sfn.ExecutionDoesNotExistException'],
      resultPath: JsonPath.DISCARD,
    });
    describe.next(
      new Choice(this, START_SERVICES.isDeployRunning)
        .when(
          Condition.stringEquals('$.deploy.status', 'RUNNING'),
          this.unchanged(START_SERVICES.deployStillRunning, 'deploy-running'),
        )
        .otherwise(start),
    );
    // DescribeExecution is eventually consistent: the deploy whose end was reported can still look as if it was running.
    return new Choice(this, START_SERVICES.hasDeployEnded)
      .when(
        Condition.and(
          Condition.isPresent('$.input.deploy'),
          Condition.stringEqualsJsonPath('$.input.deploy', '$.savedState.value.deploy'),
        ),
        start,
      )
      .otherwise(describe);
  }

  private unchanged(id: string, outcome: string): Pass {
    return new Pass(this, id, {
      parameters: { 'name.$': '$.service.name', outcome, startedAt: NULL, stoppedAt: NULL },
    });
  }

  /** Sends an alert if a recovery started services, because nobody requested that start. */
  private sendAlert(): IChainable {
    const started = new Pass(this, START_SERVICES.started, { parameters: { 'services.$': '$.services' } });
    const checkOutcomes = new Pass(this, START_SERVICES.checkOutcomes, {
      parameters: {
        'started.$': "States.ArrayContains($.services[*].outcome, 'started')",
        'late.$': "States.ArrayContains($.services[*].outcome, 'not-steady')",
      },
      resultPath: '$.outcomes',
    });
    const prepare = new Pass(this, START_SERVICES.prepareAlert, {
      parameters: {
        subject: 'pg-deploy-step: the recovery started services',
        // One line, because the text of an intrinsic function cannot contain line breaks.
        'message.$':
          "States.Format('A deploy stopped services and ended without starting them. The recovery ({}) started them. Services: {}. What to do next: if a service is not steady, find out why its tasks do not start. Read in the execution history of the deploy why it ended. Then start the deploy again. Index builds that were running continue in the database.', $.input.reason, States.JsonToString($.services))",
      },
      resultPath: '$.alert',
    });
    const alert = publishAlert(this, START_SERVICES.alert, this.props.topic);
    alert.addCatch(started, { errors: [Errors.ALL], resultPath: JsonPath.DISCARD });
    prepare.next(alert).next(started);
    return checkOutcomes.next(
      new Choice(this, START_SERVICES.shouldAlert)
        .when(
          Condition.and(
            Condition.booleanEquals('$.recovery', true),
            Condition.or(
              Condition.booleanEquals('$.outcomes.started', true),
              Condition.booleanEquals('$.outcomes.late', true),
            ),
          ),
          prepare,
        )
        .otherwise(started),
    );
  }
}
