import { Duration } from 'aws-cdk-lib';
import { JsonPath, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { apiRetry } from './retry-and-catch.ts';

/** The services by their names in SDK integrations, with the prefixes of their errors and of their IAM actions. */
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
  /** In camel case, as in the integration. The IAM action is derived from it. */
  action: string;
  iamResources: string[];
  parameters: Record<string, unknown>;
  /** Path and selected fields of the response. @default the response is discarded */
  result?: { path: string; selector: Record<string, unknown> };
}

/** A state that calls an AWS API with an SDK integration, without a Lambda function. */
export function awsCall(scope: Construct, id: string, props: AwsCall): CallAwsService {
  const api = APIS[props.api];
  const state = new CallAwsService(scope, id, {
    service: props.api,
    action: props.action,
    // Without it the CDK uses the name of the integration as IAM prefix, which is wrong for some services.
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
