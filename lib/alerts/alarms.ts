import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { ResourceNames } from '../config/resource-names.ts';
import { RECONCILE_EVERY, STOPPED_METRIC } from '../config/stopped-metric.ts';

export interface AlarmsProps {
  names: ResourceNames;
  /** How long services may be stopped, in minutes. */
  stoppedMinutes: number;
  /** Name of each state machine, and the machine. */
  machines: Readonly<Record<string, IStateMachine>>;
  /** Name of each function, and the function. */
  functions: Readonly<Record<string, lambda.IFunction>>;
  /** Receives the alarms. CloudWatch must be allowed to publish to it, and to use its key. */
  topic: sns.ITopic;
}

/** A metric that is 0 as long as nothing is wrong. */
interface Fault {
  /** The end of the names of its alarms. */
  readonly name: string;
  readonly metric: string;
  /** What has happened, as the end of a sentence that begins with the name of the resource. */
  readonly happened: string;
}

const MACHINE_FAULTS: readonly Fault[] = [
  { name: 'failed', metric: 'ExecutionsFailed', happened: 'has failed' },
  { name: 'timed-out', metric: 'ExecutionsTimedOut', happened: 'has timed out' },
  { name: 'aborted', metric: 'ExecutionsAborted', happened: 'was aborted' },
];
const FUNCTION_FAULTS: readonly Fault[] = [
  { name: 'errors', metric: 'Errors', happened: 'has failed or timed out' },
  {
    name: 'throttles',
    metric: 'Throttles',
    happened: 'was throttled: the concurrency of the account or the function is used up',
  },
];

const PERIOD = Duration.minutes(5);

/**
 * An alarm for each state machine and each kind of end other than success, for errors and throttles of each function,
 * and for services that are stopped for too long. They
 * also report what the alert of a deploy cannot: a deploy that ended before its report, and a recovery that failed.
 */
export class Alarms extends Construct {
  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const { machines, functions, topic } = props;
    stoppedAlarm(this, props);
    const alarm = (name: string, description: string, metric: cloudwatch.Metric) => {
      new cloudwatch.Alarm(this, name, {
        alarmName: name,
        alarmDescription: description,
        metric,
        threshold: 1,
        comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: 1,
        // A metric without an execution has no data.
        treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      }).addAlarmAction(new SnsAction(topic));
    };
    for (const [name, machine] of Object.entries(machines)) {
      for (const fault of MACHINE_FAULTS) {
        alarm(
          `${name}-${fault.name}`,
          `An execution of the state machine ${name} ${fault.happened}. Open it in the Step Functions console: it shows the state and the cause. Check that the services run. docs/runbook.md says what to do next.`,
          machine.metric(fault.metric, { period: PERIOD, statistic: 'Sum' }),
        );
      }
    }
    for (const [name, fn] of Object.entries(functions)) {
      for (const fault of FUNCTION_FAULTS) {
        alarm(
          `${name}-${fault.name}`,
          `An invocation of the function ${name} ${fault.happened}. The workflow makes another attempt. If the deploy fails, its alert names the cause; otherwise the log group /aws/lambda/${name} shows it.`,
          fn.metric(fault.metric, { period: PERIOD, statistic: 'Sum' }),
        );
      }
    }
  }
}

/**
 * Services that are stopped for too long. The schedule writes a data point about every 10 minutes. One that comes some seconds
 * late can be in the next period, so one of the periods may be without.
 */
function stoppedAlarm(scope: Construct, { names, stoppedMinutes, topic }: AlarmsProps): void {
  const periods = Math.ceil(stoppedMinutes / RECONCILE_EVERY.toMinutes());
  new cloudwatch.Alarm(scope, names.servicesStopped, {
    alarmName: names.servicesStopped,
    alarmDescription: `Services of the environment ${names.environmentName} have been stopped for longer than ${stoppedMinutes} minutes. If a deploy is running, open its execution to see what it waits for. Otherwise read the alert of the last deploy, then start an execution of ${names.machines.startServices} with the input {}. docs/runbook.md says more.`,
    metric: new cloudwatch.Metric({
      namespace: names.metricNamespace,
      metricName: STOPPED_METRIC,
      statistic: 'Maximum',
      period: RECONCILE_EVERY,
    }),
    threshold: 1,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: periods + 1,
    datapointsToAlarm: periods,
    treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
  }).addAlarmAction(new SnsAction(topic));
}
