import { Stack } from 'aws-cdk-lib';
import type { TaskStateBase } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from '../aws-call.ts';
import type { ServiceTargets } from './service-targets.ts';

/** A state that enables or disables the schedule of the recovery. It is enabled only while a state is saved. */
export function turnReconciler(
  scope: Construct,
  id: string,
  { reconcileRule }: ServiceTargets,
  on: boolean,
): TaskStateBase {
  return awsCall(scope, id, {
    api: 'eventbridge',
    action: on ? 'enableRule' : 'disableRule',
    iamResources: [
      Stack.of(scope).formatArn({ service: 'events', resource: 'rule', resourceName: reconcileRule }),
    ],
    parameters: { Name: reconcileRule },
  });
}
