import { Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { RuleNames } from '../config/resource-names.ts';
import { RECONCILE_EVERY } from '../config/stopped-metric.ts';
import type { RecoveryReason } from '../workflow/start-services.ts';

export interface RecoveryProps {
  ruleNames: RuleNames;
  deploy: IStateMachine;
  startServices: IStateMachine;
}

/** Ends of a change of the stack after which its newest definitions and permissions are in place, or the old ones again. */
const STACK_CHANGED = ['CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE', 'IMPORT_COMPLETE'];

/**
 * Starts `start-services` after a deploy that could not start the services itself, because it was aborted, timed out or
 * failed with States.Runtime:
 * 1. a rule, when a deploy ends as FAILED, TIMED_OUT or ABORTED;
 * 2. a schedule, every 10 minutes, because EventBridge may lose such an event. The rule is disabled; it is enabled by
 *    `maintenance-window` before it stops services, and disabled by `start-services` when nothing is saved any more;
 * 3. a rule, when the stack was updated, because the update may have disabled the schedule.
 * With the `reason` in the input, `start-services` respects the marker of services that are left stopped deliberately.
 */
export class Recovery extends Construct {
  constructor(scope: Construct, id: string, props: RecoveryProps) {
    super(scope, id);
    const { ruleNames } = props;
    const role = roleOfRules(this, [ruleNames.deployEnded, ruleNames.reconcile, ruleNames.stackUpdated]);
    const start = (input: { reason: RecoveryReason } & Record<string, string>) =>
      new SfnStateMachine(props.startServices, { role, input: events.RuleTargetInput.fromObject(input) });
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
        start({
          reason: 'deploy-ended',
          deploy: events.EventField.fromPath('$.detail.name'),
          status: events.EventField.fromPath('$.detail.status'),
        }),
      ],
    });
    new events.Rule(this, 'Reconcile', {
      ruleName: ruleNames.reconcile,
      description: 'Starts services that have a saved state and belong to no running deploy',
      schedule: events.Schedule.rate(RECONCILE_EVERY),
      enabled: false,
      targets: [start({ reason: 'reconcile' })],
    });
    new events.Rule(this, 'StackUpdated', {
      ruleName: ruleNames.stackUpdated,
      description: 'Enables the schedule of the recovery again if services are stopped',
      eventPattern: {
        source: ['aws.cloudformation'],
        detailType: ['CloudFormation Stack Status Change'],
        detail: {
          'stack-id': [Stack.of(this).stackId],
          'status-details': { status: STACK_CHANGED },
        },
      },
      targets: [start({ reason: 'stack-updated' })],
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
