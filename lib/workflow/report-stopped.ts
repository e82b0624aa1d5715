import { Choice, Condition, type IChainable, type TaskStateBase } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { STOPPED_METRIC } from '../config/stopped-metric.ts';
import { awsCall } from './aws-call.ts';
import { catchAll } from './retry-and-catch.ts';
import { parameterArn } from './services/saved-state.ts';
import { RECOVERY } from './state-names.ts';

/**
 * The states that write 1 to the metric of stopped services if a state is saved, also if services are left stopped deliberately.
 * An error here does not stop the recovery.
 * @param props.namespace the namespace of the metric
 * @returns the first state
 */
export function reportStopped(
  scope: Construct,
  { namespace, savedStatesPath, next }: { namespace: string; savedStatesPath: string; next: TaskStateBase },
): IChainable {
  const list = awsCall(scope, RECOVERY.listStopped, {
    api: 'ssm',
    action: 'getParametersByPath',
    iamResources: [parameterArn(scope, savedStatesPath)],
    parameters: { Path: savedStatesPath, MaxResults: 1 },
    // The tokens as a list: a page can be empty and still not be the last one.
    result: { path: '$.stopped', selector: { 'names.$': '$.Parameters[*].Name', 'token.$': '$..NextToken' } },
  });
  const put = awsCall(scope, RECOVERY.reportStopped, {
    api: 'cloudwatch',
    action: 'putMetricData',
    // CloudWatch supports no resources for this action.
    iamResources: ['*'],
    iamConditions: { StringEquals: { 'cloudwatch:namespace': namespace } },
    parameters: {
      Namespace: namespace,
      MetricData: [{ MetricName: STOPPED_METRIC, Value: 1, Unit: 'Count' }],
    },
    // The services start afterwards.
    isOptional: true,
  });
  catchAll(list, next, '$.ignored');
  catchAll(put, next, '$.ignored');
  put.next(next);
  list.next(
    new Choice(scope, RECOVERY.isAnyStopped)
      .when(
        Condition.or(Condition.isPresent('$.stopped.names[0]'), Condition.isPresent('$.stopped.token[0]')),
        put,
      )
      .otherwise(next),
  );
  return list;
}
