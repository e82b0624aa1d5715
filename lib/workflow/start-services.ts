import { Duration } from 'aws-cdk-lib';
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
import {
  forgetRemembered,
  getRemembered,
  PARAMETER_MISSING,
  setDesiredCount,
  suspendScaling,
} from './service-calls.ts';
import { looksWithin, type ServiceTargets } from './service-target.ts';
import { waitForCounts } from './wait-for-counts.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface StartServicesProps {
  machineName: string;
  services: ServiceTargets;
  startMinutes: number;
}

/** Room for the calls themselves, beside the deadline for becoming steady. */
const CALLS_MINUTES = 15;

/**
 * The state machine `start-services`: for each service that was remembered, its desired count, wait until all of its
 * tasks run, resume its scaling, forget. A service that was not remembered was not stopped and is left alone. It takes
 * any input and may run twice, half-way, or when nothing is stopped; started by itself it is the recovery.
 */
export class StartServices extends Construct {
  readonly machine: WorkflowMachine;

  constructor(scope: Construct, id: string, props: StartServicesProps) {
    super(scope, id);
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Starts what a deploy stopped, at the counts that were remembered',
      definition: props.services.targets.length === 0 ? this.nothing() : this.startAll(props),
      timeout: Duration.minutes(props.startMinutes + CALLS_MINUTES),
    });
  }

  private nothing(): IChainable {
    return new Pass(this, 'No Services Configured', { parameters: { services: [] } });
  }

  private startAll(props: StartServicesProps): IChainable {
    const all = new MapState(this, 'Start Services', {
      itemsPath: '$.services',
      itemSelector: { 'service.$': '$$.Map.Item.Value' },
      resultPath: '$.services',
    });
    all.itemProcessor(this.startOne(props));
    const configured = new Pass(this, 'Configured Services', {
      parameters: { services: props.services.targets },
    });
    return configured.next(all);
  }

  private startOne({ services, startMinutes }: StartServicesProps): IChainable {
    const recall = getRemembered(this, 'Recall Count', services);
    const nothing = new Pass(this, 'Nothing Remembered', {
      parameters: {
        'name.$': '$.service.name',
        outcome: 'nothing-remembered',
        startedAt: NULL,
        stoppedAt: NULL,
        desiredCount: NULL,
      },
    });
    recall.addCatch(nothing, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });

    const start = setDesiredCount(
      this,
      'Start Tasks',
      services,
      JsonPath.numberAt('$.memory.value.desiredCount'),
    );
    const steady = new Pass(this, 'Note Steady', {
      parameters: { outcome: 'started', 'startedAt.$': '$$.State.EnteredTime' },
      resultPath: '$.result',
    });
    const late = new Pass(this, 'Note Not Steady', {
      parameters: { outcome: 'not-steady', startedAt: NULL },
      resultPath: '$.result',
    });
    const waiting = waitForCounts(this, {
      services,
      goal: 'Steady',
      reached: Condition.numberEqualsJsonPath('$.counts.running', '$.memory.value.desiredCount'),
      looks: looksWithin(startMinutes, services.pollSeconds),
      onReached: steady,
      onLate: late,
    });

    const resume = suspendScaling(this, 'Resume Scaling', services, false);
    const forget = forgetRemembered(this, 'Forget Count', services);
    const ended = new Pass(this, 'Service Done', {
      parameters: {
        'name.$': '$.service.name',
        'outcome.$': '$.result.outcome',
        'startedAt.$': '$.result.startedAt',
        'stoppedAt.$': '$.memory.value.stoppedAt',
        'desiredCount.$': '$.memory.value.desiredCount',
      },
    });
    // Another recovery was quicker: forgotten is forgotten.
    forget.addCatch(ended, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    // What is not steady stays remembered, so that the next recovery looks after it again.
    const isSteady = new Choice(this, 'Is Steady?')
      .when(Condition.stringEquals('$.result.outcome', 'started'), forget)
      .otherwise(ended);
    const hasScaling = new Choice(this, 'Scaling To Resume?')
      .when(Condition.booleanEquals('$.service.scaling', true), resume)
      .otherwise(isSteady);
    recall.next(start).next(waiting);
    steady.next(hasScaling);
    late.next(hasScaling);
    resume.next(isSteady);
    forget.next(ended);
    return recall;
  }
}
