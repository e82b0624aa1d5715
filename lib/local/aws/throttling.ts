import type { TaskError } from '../engine/errors.ts';
import { serviceError } from './action.ts';

const SDK = 'arn:aws:states:::aws-sdk';

/**
 * The names under which throttling arrives, by the beginning of a Task state's Resource. Each name was documented or seen:
 * see docs/aws-behaviour.md. Most services do not model throttling, so it has the name of the service's base exception.
 * SDK integrations use the classes of the Java SDK 2, optimized integrations those of the Java SDK 1.
 */
const NAMES: readonly (readonly [resource: string, names: readonly [string, ...string[]]])[] = [
  [`${SDK}:ecs:`, ['Ecs.EcsException']],
  [`${SDK}:cloudwatch:`, ['CloudWatch.CloudWatchException']],
  [`${SDK}:applicationautoscaling:`, ['ApplicationAutoScaling.ApplicationAutoScalingException']],
  [`${SDK}:elasticloadbalancingv2:`, ['ElasticLoadBalancingV2.ElasticLoadBalancingV2Exception']],
  [`${SDK}:sfn:`, ['Sfn.SfnException']],
  [`${SDK}:ssm:`, ['Ssm.SsmException', 'Ssm.ThrottlingException']],
  [`${SDK}:eventbridge:`, ['EventBridge.EventBridgeException', 'EventBridge.ThrottlingException']],
  [`${SDK}:scheduler:`, ['Scheduler.ThrottlingException']],
  [`${SDK}:lambda:`, ['Lambda.TooManyRequestsException']],
  ['arn:aws:states:::lambda:invoke', ['Lambda.TooManyRequestsException', 'Lambda.EC2ThrottledException']],
  [
    'arn:aws:states:::states:startExecution',
    ['StepFunctions.AWSStepFunctionsException', 'Sfn.SfnException', 'StepFunctions.SfnException'],
  ],
  ['arn:aws:states:::ecs:runTask', ['ECS.AmazonECSException', 'ECS.InvalidParameterException']],
  ['arn:aws:states:::sns:publish', ['SNS.ThrottledException', 'SNS.AmazonSNSException']],
];

/**
 * The names that the error of a throttled call can have.
 * @throws Error for a Resource whose names are unknown: look them up, and add them to the table
 */
export function throttlingNames(resource: string): readonly [string, ...string[]] {
  const found = NAMES.find(([prefix]) => resource.startsWith(prefix));
  if (found === undefined) throw new Error(`It is unknown how throttling of ${resource} arrives.`);
  return found[1];
}

/**
 * The error of a throttled call.
 * @param name one of `throttlingNames`
 */
export function throttlingError(resource: string, name: string = throttlingNames(resource)[0]): TaskError {
  const service = name.split('.')[0];
  return serviceError(
    name,
    `Rate exceeded (Service: ${service}, Status Code: 400, Request ID: 00000000-0000-0000-0000-000000000000)`,
  );
}
