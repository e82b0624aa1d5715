import { Duration } from 'aws-cdk-lib';
import { JsonPath, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { apiRetry } from './retry-and-catch.ts';

/** Names that the SDK integrations give the services, with the prefix of their errors and that of their IAM actions. */
const APIS = {
  ecs: { errors: 'Ecs', iam: 'ecs' },
  ssm: { errors: 'Ssm', iam: 'ssm' },
  sfn: { errors: 'Sfn', iam: 'states' },
  lambda: { errors: 'Lambda', iam: 'lambda' },
  eventbridge: { errors: 'EventBridge', iam: 'events' },
  applicationautoscaling: { errors: 'ApplicationAutoScaling', iam: 'application-autoscaling' },
} as const;

export interface AwsCall {
  api: keyof typeof APIS;
  /** In camel case, as the integration names it; IAM's action follows from it. */
  action: string;
  iamResources: string[];
  parameters: Record<string, unknown>;
  /** Where the selected part of the answer goes. Undefined: it is thrown away. */
  result?: { path: string; selector: Record<string, unknown> };
}

/** A state that calls an AWS API by an SDK integration: nothing to bundle, visible in the console. */
export function awsCall(scope: Construct, id: string, props: AwsCall): CallAwsService {
  const api = APIS[props.api];
  const state = new CallAwsService(scope, id, {
    service: props.api,
    action: props.action,
    // The integration's name of a service is not always its IAM prefix, so it is never left to a guess.
    iamAction: `${api.iam}:${props.action.charAt(0).toUpperCase()}${props.action.slice(1)}`,
    iamResources: props.iamResources,
    parameters: props.parameters,
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    ...(props.result === undefined
      ? { resultPath: JsonPath.DISCARD }
      : { resultSelector: props.result.selector, resultPath: props.result.path }),
  });
  state.addRetry(apiRetry(api.errors));
  return state;
}
