import { Aws, Duration } from 'aws-cdk-lib';
import { JsonPath, type TaskStateBase, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import { CallAwsService, type CallAwsServiceProps } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import { RawTaskState } from './raw-task-state.ts';
import { type API_ERRORS, apiRetry } from './retry-and-catch.ts';

/** The prefix of a service's IAM actions, by its name in SDK integrations. */
const IAM_PREFIXES = {
  ecs: 'ecs',
  ssm: 'ssm',
  sfn: 'states',
  lambda: 'lambda',
  eventbridge: 'events',
  cloudwatch: 'cloudwatch',
  elasticloadbalancingv2: 'elasticloadbalancing',
  applicationautoscaling: 'application-autoscaling',
  scheduler: 'scheduler',
} as const satisfies Record<keyof typeof API_ERRORS, string>;

export interface AwsCall {
  api: keyof typeof API_ERRORS;
  /** In camel case, as in the integration. The IAM action is derived from it. */
  action: string;
  /** @default the role of the state machine gets no permission from this state, but from elsewhere */
  iamResources?: string[];
  /** Conditions of the permission, such as {StringEquals: {…}}. @default none */
  iamConditions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  parameters: Record<string, unknown>;
  /** Path and selected fields of the response. @default the response is discarded */
  result?: { path: string; selector: Record<string, unknown> };
  /** The execution continues without this call, and must not wait long for it. @default false */
  isOptional?: boolean;
}

/** CallAwsService accepts no conditions for the permission that it adds to the role of the state machine. */
class ConditionalCall extends CallAwsService {
  constructor(
    scope: Construct,
    id: string,
    { iamConditions = {}, ...props }: CallAwsServiceProps & Pick<AwsCall, 'iamConditions'>,
  ) {
    super(scope, id, props);
    for (const statement of this.taskPolicies ?? []) statement.addConditions(iamConditions);
  }
}

/** A state that calls an AWS API with an SDK integration, without a Lambda function. */
export function awsCall(scope: Construct, id: string, props: AwsCall): TaskStateBase {
  const common = {
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    ...(props.result === undefined
      ? { resultPath: JsonPath.DISCARD }
      : { resultSelector: props.result.selector, resultPath: props.result.path }),
  };
  const state =
    props.iamResources === undefined
      ? new RawTaskState(scope, id, {
          resource: `arn:${Aws.PARTITION}:states:::aws-sdk:${props.api}:${props.action}`,
          parameters: props.parameters,
          policies: [],
          ...common,
        })
      : new ConditionalCall(scope, id, {
          service: props.api,
          action: props.action,
          // Without it the CDK uses the name of the integration as IAM prefix, which is wrong for some services.
          iamAction: `${IAM_PREFIXES[props.api]}:${props.action.charAt(0).toUpperCase()}${props.action.slice(1)}`,
          iamResources: props.iamResources,
          ...(props.iamConditions && { iamConditions: props.iamConditions }),
          parameters: props.parameters,
          ...common,
        });
  state.addRetry(apiRetry(props.api, props.isOptional));
  return state;
}
