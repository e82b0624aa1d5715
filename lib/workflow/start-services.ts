import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { awsCall } from './aws-call.ts';
import { NULL } from './null-parameters.ts';
import { publishAlert } from './publish-alert.ts';
import { deleteMemory, getMemory, PARAMETER_MISSING } from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { START_SERVICES } from './state-names.ts';
import { eachKind } from './stop-services.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface StartServicesProps {
  machineName: string;
  services: ServiceTargets;
  startMinutes: number;
  /** ARN of the executions of `deploy`, with a * for their names. */
  deployExecutions: string;
  topic: sns.ITopic;
}

/** Room for the calls themselves, beside the deadline for becoming steady. */
const CALLS_MINUTES = 30;

/** Who starts it as a recovery: the rule for a deploy that ended badly, and the reconciler. */
export const RECOVERY_REASONS = ['deploy-ended', 'reconcile'] as const;

/**
 * The state machine `start-services`: each service that was remembered is started as it was, waited for until it is
 * steady, and forgotten. What was not remembered was not stopped and is left alone. It takes any input and may run twice,
 * half-way, or when nothing is stopped.
 *
 * Started by a deploy, or by a person with `{}`, it clears the marker of services left stopped on purpose. Started as a
 * recovery it heeds the marker, and leaves alone what belongs to a deploy that still runs.
 */
export class StartServices extends Construct {
  readonly machine: WorkflowMachine;
  private readonly props: StartServicesProps;

  constructor(scope: Construct, id: string, props: StartServicesProps) {
    super(scope, id);
    this.props = props;
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Starts what a deploy stopped, as it was remembered',
      definition: props.services.items.length === 0 ? this.nothing() : this.startAll(),
      timeout: Duration.minutes(props.startMinutes + CALLS_MINUTES),
    });
  }

  private nothing(): IChainable {
    return new Pass(this, START_SERVICES.noneConfigured, { parameters: { services: [] } });
  }

  private startAll(): IChainable {
    const { services } = this.props;
    const begin = new Pass(this, START_SERVICES.begin, { parameters: { 'input.$': '$' } });
    const ordered = new Pass(this, START_SERVICES.startOnRequest, {
      parameters: { recovery: false, services: services.items },
    });
    const recovering = new Pass(this, START_SERVICES.startAsRecovery, {
      parameters: { recovery: true, services: services.items, 'input.$': '$.input' },
    });
    const forgetMarker = deleteMemory(this, START_SERVICES.deleteMarker, services.marker);
    forgetMarker.addCatch(ordered, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    const lookForMarker = getMemory(this, START_SERVICES.readMarker, services.marker);
    lookForMarker.addCatch(recovering, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    const onPurpose = new Pass(this, START_SERVICES.leftStopped, { parameters: { services: [] } });
    lookForMarker.next(onPurpose);

    const all = new MapState(this, START_SERVICES.startServices, {
      itemsPath: '$.services',
      itemSelector: { 'recovery.$': '$.recovery', 'service.$': '$$.Map.Item.Value' },
      resultPath: '$.services',
    });
    all.itemProcessor(this.startOne());
    forgetMarker.next(ordered).next(all);
    recovering.next(all);
    all.next(this.tell());
    return begin.next(
      new Choice(this, START_SERVICES.startedAsRecovery)
        .when(
          Condition.and(
            Condition.isPresent('$.input.reason'),
            Condition.or(
              ...RECOVERY_REASONS.map((reason) => Condition.stringEquals('$.input.reason', reason)),
            ),
          ),
          lookForMarker,
        )
        .otherwise(forgetMarker),
    );
  }

  private startOne(): IChainable {
    const { services } = this.props;
    const recall = getMemory(this, START_SERVICES.readState, services.memory);
    recall.addCatch(this.untouched(START_SERVICES.nothingSaved, 'nothing-remembered'), {
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
    const start = eachKind(this, START_SERVICES.whichKindToStart, services, (kind) =>
      kind.start(this, { steady, late }),
    );

    const forget = deleteMemory(this, START_SERVICES.deleteState, services.memory);
    const ended = new Pass(this, START_SERVICES.serviceDone, {
      parameters: {
        'name.$': '$.service.name',
        'outcome.$': '$.result.outcome',
        'startedAt.$': '$.result.startedAt',
        'stoppedAt.$': '$.memory.value.stoppedAt',
      },
    });
    // Another recovery was quicker: forgotten is forgotten.
    forget.addCatch(ended, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    forget.next(ended);
    // What is not steady stays remembered, so that the next recovery looks after it again.
    const isSteady = new Choice(this, START_SERVICES.isSteady)
      .when(Condition.stringEquals('$.result.outcome', 'started'), forget)
      .otherwise(ended);
    const after = eachKind(
      this,
      START_SERVICES.whichKindStarted,
      services,
      (kind) => kind.afterStart?.(this, isSteady) ?? isSteady,
    );
    steady.next(after);
    late.next(after);

    return recall.next(
      new Choice(this, START_SERVICES.isRecovery)
        .when(Condition.booleanEquals('$.recovery', true), this.unlessDeployRuns(start))
        .otherwise(start),
    );
  }

  /** A recovery takes nothing away from a deploy that is at work. */
  private unlessDeployRuns(start: IChainable): IChainable {
    const look = awsCall(this, START_SERVICES.describeDeploy, {
      api: 'sfn',
      action: 'describeExecution',
      iamResources: [this.props.deployExecutions],
      parameters: { ExecutionArn: JsonPath.stringAt('$.memory.value.execution') },
      result: { path: '$.deploy', selector: { 'status.$': '$.Status' } },
    });
    // Step Functions forgets an execution after 90 days.
    look.addCatch(start, { errors: ['Sfn.ExecutionDoesNotExistException'], resultPath: JsonPath.DISCARD });
    return look.next(
      new Choice(this, START_SERVICES.isDeployRunning)
        .when(
          Condition.stringEquals('$.deploy.status', 'RUNNING'),
          this.untouched(START_SERVICES.deployStillRunning, 'left-to-its-deploy'),
        )
        .otherwise(start),
    );
  }

  private untouched(id: string, outcome: string): Pass {
    return new Pass(this, id, {
      parameters: { 'name.$': '$.service.name', outcome, startedAt: NULL, stoppedAt: NULL },
    });
  }

  /** Tells people when a recovery had something to start: a deploy died, and they were not asked. */
  private tell(): IChainable {
    const done = new Pass(this, START_SERVICES.started, { parameters: { 'services.$': '$.services' } });
    const look = new Pass(this, START_SERVICES.checkOutcomes, {
      parameters: {
        'started.$': "States.ArrayContains($.services[*].outcome, 'started')",
        'late.$': "States.ArrayContains($.services[*].outcome, 'not-steady')",
      },
      resultPath: '$.look',
    });
    const word = new Pass(this, START_SERVICES.prepareAlert, {
      parameters: {
        subject: 'pg-deploy-step: the recovery started services',
        // One line: an intrinsic function's text has no line breaks.
        'message.$':
          "States.Format('A deploy ended without starting the services that it had stopped, so the recovery started them ({}). Services: {}. What to do next: look at those that are not steady, if there are any; find out in the execution history of the deploy why it ended; then start it again. Index builds that were under way go on in the database.', $.input.reason, States.JsonToString($.services))",
      },
      resultPath: '$.alert',
    });
    const alert = publishAlert(this, START_SERVICES.alert, this.props.topic);
    alert.addCatch(done, { errors: ['States.ALL'], resultPath: JsonPath.DISCARD });
    word.next(alert).next(done);
    return look.next(
      new Choice(this, START_SERVICES.shouldAlert)
        .when(
          Condition.and(
            Condition.booleanEquals('$.recovery', true),
            Condition.or(
              Condition.booleanEquals('$.look.started', true),
              Condition.booleanEquals('$.look.late', true),
            ),
          ),
          word,
        )
        .otherwise(done),
    );
  }
}
