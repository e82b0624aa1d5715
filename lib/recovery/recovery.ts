import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';

export interface RecoveryProps {
  environmentName: string;
  deploy: IStateMachine;
  startServices: IStateMachine;
}

/** How often the reconciler looks. */
const RECONCILE_EVERY = Duration.minutes(10);

/**
 * The second net under `deploy`, for what it cannot catch itself (abort, its own time-out, States.Runtime):
 * 1. a rule that starts `start-services` when a deploy ended as FAILED, TIMED_OUT or ABORTED;
 * 2. because such events are best effort, a schedule that starts it every 10 minutes.
 * Both name their reason, by which `start-services` heeds the marker of services left stopped on purpose.
 */
export class Recovery extends Construct {
  constructor(scope: Construct, id: string, props: RecoveryProps) {
    super(scope, id);
    new events.Rule(this, 'DeployEnded', {
      ruleName: `pg-deploy-step-${props.environmentName}-recovery`,
      description: 'Starts services that a failed, timed out or aborted deploy left stopped',
      eventPattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: {
          status: ['FAILED', 'TIMED_OUT', 'ABORTED'],
          stateMachineArn: [props.deploy.stateMachineArn],
        },
      },
      targets: [
        new SfnStateMachine(props.startServices, {
          input: events.RuleTargetInput.fromObject({
            reason: 'deploy-ended',
            deploy: events.EventField.fromPath('$.detail.name'),
            status: events.EventField.fromPath('$.detail.status'),
          }),
        }),
      ],
    });
    new events.Rule(this, 'Reconcile', {
      ruleName: `pg-deploy-step-${props.environmentName}-reconcile`,
      description: 'Starts services that are remembered as stopped and belong to no running deploy',
      schedule: events.Schedule.rate(RECONCILE_EVERY),
      targets: [
        new SfnStateMachine(props.startServices, {
          input: events.RuleTargetInput.fromObject({ reason: 'reconcile' }),
        }),
      ],
    });
  }
}
