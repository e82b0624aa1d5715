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
import { NULL } from './null.ts';
import { publishAlert } from './publish-alert.ts';
import { awsCall } from './services/aws-call.ts';
import { deleteMemory, getMemory, PARAMETER_MISSING } from './services/memory.ts';
import type { ServiceTargets } from './services/target.ts';
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
    return new Pass(this, 'No Services Configured', { parameters: { services: [] } });
  }

  private startAll(): IChainable {
    const { services } = this.props;
    const begin = new Pass(this, 'Begin', { parameters: { 'input.$': '$' } });
    const ordered = new Pass(this, 'Start As Ordered', {
      parameters: { recovery: false, services: services.items },
    });
    const recovering = new Pass(this, 'Start As Recovery', {
      parameters: { recovery: true, services: services.items, 'input.$': '$.input' },
    });
    const forgetMarker = deleteMemory(this, 'Forget Marker', services.marker);
    forgetMarker.addCatch(ordered, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    const lookForMarker = getMemory(this, 'Look For Marker', services.marker);
    lookForMarker.addCatch(recovering, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    const onPurpose = new Pass(this, 'Stopped On Purpose', { parameters: { services: [] } });
    lookForMarker.next(onPurpose);

    const all = new MapState(this, 'Start Services', {
      itemsPath: '$.services',
      itemSelector: { 'recovery.$': '$.recovery', 'service.$': '$$.Map.Item.Value' },
      resultPath: '$.services',
    });
    all.itemProcessor(this.startOne());
    forgetMarker.next(ordered).next(all);
    recovering.next(all);
    all.next(this.tell());
    return begin.next(
      new Choice(this, 'Is A Recovery?')
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
    const recall = getMemory(this, 'Recall Service', services.memory);
    recall.addCatch(this.untouched('Nothing Remembered', 'nothing-remembered'), {
      errors: PARAMETER_MISSING,
      resultPath: JsonPath.DISCARD,
    });

    const steady = new Pass(this, 'Note Steady', {
      parameters: { outcome: 'started', 'startedAt.$': '$$.State.EnteredTime' },
      resultPath: '$.result',
    });
    const late = new Pass(this, 'Note Not Steady', {
      parameters: { outcome: 'not-steady', startedAt: NULL },
      resultPath: '$.result',
    });
    const start = eachKind(this, 'Which Kind To Start?', services, (kind) =>
      kind.start(this, { steady, late }),
    );

    const forget = deleteMemory(this, 'Forget Service', services.memory);
    const ended = new Pass(this, 'Service Done', {
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
    const isSteady = new Choice(this, 'Is Steady?')
      .when(Condition.stringEquals('$.result.outcome', 'started'), forget)
      .otherwise(ended);
    const after = eachKind(
      this,
      'Which Kind Was Started?',
      services,
      (kind) => kind.afterStart?.(this, isSteady) ?? isSteady,
    );
    steady.next(after);
    late.next(after);

    return recall.next(
      new Choice(this, 'Recovers?')
        .when(Condition.booleanEquals('$.recovery', true), this.unlessDeployRuns(start))
        .otherwise(start),
    );
  }

  /** A recovery takes nothing away from a deploy that is at work. */
  private unlessDeployRuns(start: IChainable): IChainable {
    const look = awsCall(this, 'Look At Its Deploy', {
      api: 'sfn',
      action: 'describeExecution',
      iamResources: [this.props.deployExecutions],
      parameters: { ExecutionArn: JsonPath.stringAt('$.memory.value.execution') },
      result: { path: '$.deploy', selector: { 'status.$': '$.Status' } },
    });
    // Step Functions forgets an execution after 90 days.
    look.addCatch(start, { errors: ['Sfn.ExecutionDoesNotExistException'], resultPath: JsonPath.DISCARD });
    return look.next(
      new Choice(this, 'Deploy Still Runs?')
        .when(
          Condition.stringEquals('$.deploy.status', 'RUNNING'),
          this.untouched('Left To Its Deploy', 'left-to-its-deploy'),
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
    const done = new Pass(this, 'Started', { parameters: { 'services.$': '$.services' } });
    const look = new Pass(this, 'Look At Outcomes', {
      parameters: {
        'started.$': "States.ArrayContains($.services[*].outcome, 'started')",
        'late.$': "States.ArrayContains($.services[*].outcome, 'not-steady')",
      },
      resultPath: '$.look',
    });
    const word = new Pass(this, 'Word Alert', {
      parameters: {
        subject: 'pg-deploy-step: the recovery started services',
        // One line: an intrinsic function's text has no line breaks.
        'message.$':
          "States.Format('A deploy ended without starting the services that it had stopped, so the recovery started them ({}). Services: {}. What to do next: look at those that are not steady, if there are any; find out in the execution history of the deploy why it ended; then start it again. Index builds that were under way go on in the database.', $.input.reason, States.JsonToString($.services))",
      },
      resultPath: '$.alert',
    });
    const alert = publishAlert(this, 'Alert', this.props.topic);
    alert.addCatch(done, { errors: ['States.ALL'], resultPath: JsonPath.DISCARD });
    word.next(alert).next(done);
    return look.next(
      new Choice(this, 'Tell People?')
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
