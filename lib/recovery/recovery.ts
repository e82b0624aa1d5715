import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { RecoveryReason } from '../workflow/start-services.ts';

export interface RecoveryProps {
  environmentName: string;
  deploy: IStateMachine;
  startServices: IStateMachine;
}

const RECONCILE_EVERY = Duration.minutes(10);

/**
 * Starts `start-services` after a deploy that could not start the services itself, because it was aborted, timed out or
 * failed with States.Runtime:
 * 1. a rule, when a deploy ends as FAILED, TIMED_OUT or ABORTED;
 * 2. a schedule, every 10 minutes, because EventBridge may lose such an event.
 * With the `reason` in the input, `start-services` respects the marker of services that are left stopped deliberately.
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
            reason: 'deploy-ended' satisfies RecoveryReason,
            deploy: events.EventField.fromPath('$.detail.name'),
            status: events.EventField.fromPath('$.detail.status'),
          }),
        }),
      ],
    });
    new events.Rule(this, 'Reconcile', {
      ruleName: `pg-deploy-step-${props.environmentName}-reconcile`,
      description: 'Starts services that have a saved state and belong to no running deploy',
      schedule: events.Schedule.rate(RECONCILE_EVERY),
      targets: [
        new SfnStateMachine(props.startServices, {
          input: events.RuleTargetInput.fromObject({ reason: 'reconcile' satisfies RecoveryReason }),
        }),
      ],
    });
  }
}
