import { Duration, Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
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
    const ruleNames = {
      deployEnded: `pg-deploy-step-${props.environmentName}-recovery`,
      reconcile: `pg-deploy-step-${props.environmentName}-reconcile`,
    };
    const role = roleOfRules(this, Object.values(ruleNames));
    new events.Rule(this, 'DeployEnded', {
      ruleName: ruleNames.deployEnded,
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
          role,
          input: events.RuleTargetInput.fromObject({
            reason: 'deploy-ended' satisfies RecoveryReason,
            deploy: events.EventField.fromPath('$.detail.name'),
            status: events.EventField.fromPath('$.detail.status'),
          }),
        }),
      ],
    });
    new events.Rule(this, 'Reconcile', {
      ruleName: ruleNames.reconcile,
      description: 'Starts services that have a saved state and belong to no running deploy',
      schedule: events.Schedule.rate(RECONCILE_EVERY),
      targets: [
        new SfnStateMachine(props.startServices, {
          role,
          input: events.RuleTargetInput.fromObject({ reason: 'reconcile' satisfies RecoveryReason }),
        }),
      ],
    });
  }
}

/** The role with which EventBridge starts the recovery. EventBridge can use it for these rules only. */
function roleOfRules(scope: Construct, ruleNames: readonly string[]): Role {
  const stack = Stack.of(scope);
  return new Role(scope, 'Role', {
    assumedBy: new ServicePrincipal('events.amazonaws.com', {
      conditions: {
        StringEquals: { 'aws:SourceAccount': stack.account },
        ArnEquals: {
          'aws:SourceArn': ruleNames.map((resourceName) =>
            stack.formatArn({ service: 'events', resource: 'rule', resourceName }),
          ),
        },
      },
    }),
  });
}
