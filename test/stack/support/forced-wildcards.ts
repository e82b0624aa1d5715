import { iamMatches, type Permission } from './iam-matcher.ts';

/** A wildcard that AWS makes necessary. Every other wildcard in a policy of the stack is an error. */
export interface ForcedWildcard {
  actions: readonly string[];
  /** The resource of the statement. Words in capitals stand for names, see Placeholders. */
  resource: string;
  /**
   * `environment`: what the wildcard covers belongs to this environment.
   * `account`: it also covers resources of other environments, because IAM has no narrower resource.
   */
  reach: 'environment' | 'account';
  reason: string;
}

const onArn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:222222222222:${rest}`;

export const FORCED_WILDCARDS: readonly ForcedWildcard[] = [
  {
    actions: [
      'xray:GetSamplingRules',
      'xray:GetSamplingTargets',
      'xray:PutTelemetryRecords',
      'xray:PutTraceSegments',
    ],
    resource: '*',
    reach: 'account',
    reason: 'X-Ray supports no resources for these actions.',
  },
  {
    actions: [
      'logs:CreateLogDelivery',
      'logs:DeleteLogDelivery',
      'logs:DescribeLogGroups',
      'logs:DescribeResourcePolicies',
      'logs:GetLogDelivery',
      'logs:ListLogDeliveries',
      'logs:PutResourcePolicy',
      'logs:UpdateLogDelivery',
    ],
    resource: '*',
    reach: 'account',
    reason:
      'Step Functions needs them to write logs, and CloudWatch Logs supports no resources for log delivery.',
  },
  {
    actions: [
      'ec2:AssignPrivateIpAddresses',
      'ec2:CreateNetworkInterface',
      'ec2:DeleteNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:UnassignPrivateIpAddresses',
    ],
    resource: '*',
    reach: 'account',
    reason:
      'Lambda creates network interfaces with ids that are unknown at synth. A Deny forbids these actions to the code of the functions.',
  },
  {
    actions: ['application-autoscaling:DescribeScalableTargets'],
    resource: '*',
    reach: 'account',
    reason: 'Application Auto Scaling supports no resources for this action, which only reads.',
  },
  {
    actions: ['application-autoscaling:RegisterScalableTarget'],
    resource: onArn('application-autoscaling', 'scalable-target/*'),
    reach: 'account',
    reason:
      'The ARN of a scalable target ends in an id that is unknown at synth. Conditions allow only the desired counts of ECS services.',
  },
  {
    actions: ['cloudwatch:PutMetricData'],
    resource: '*',
    reach: 'environment',
    reason:
      'CloudWatch supports no resources for this action. A condition names the namespace of the environment.',
  },
  {
    actions: ['elasticloadbalancing:DescribeTargetHealth'],
    resource: '*',
    reach: 'account',
    reason: 'Elastic Load Balancing supports no resources for this action, which only reads.',
  },
  {
    actions: ['ssm:GetParameter', 'ssm:DeleteParameter'],
    resource: onArn('ssm', 'parameter/pg-deploy-step/ENV/services/*'),
    reach: 'environment',
    reason:
      'A service that is stopped can have another name in the configuration since, or be missing there.',
  },
  {
    actions: ['ssm:GetParameter', 'ssm:PutParameter', 'ssm:DeleteParameter'],
    resource: onArn('ssm', 'parameter/pg-deploy-step/ENV/incidents/*'),
    reach: 'environment',
    reason: 'The recovery records what it did for such a service under its name.',
  },
  {
    actions: ['ecs:ListTasks'],
    resource: '*',
    reach: 'environment',
    reason: 'ECS supports no resource for this action, only the condition on the cluster.',
  },
  {
    actions: ['ecs:DescribeTasks', 'ecs:StopTask'],
    resource: onArn('ecs', 'task/CLUSTER/*'),
    reach: 'environment',
    reason: 'ECS chooses the ids of tasks. The resource and a condition name the cluster.',
  },
  {
    actions: ['ecs:RunTask'],
    resource: onArn('ecs', 'task-definition/FAMILY:*'),
    reach: 'environment',
    reason: 'The deploy runs the latest revision of the configured family.',
  },
  {
    actions: ['states:DescribeExecution', 'states:StopExecution'],
    resource: onArn('states', 'execution:pg-deploy-step-ENV-MACHINE:*'),
    reach: 'environment',
    reason: 'The names of executions are generated when they start.',
  },
  {
    actions: ['lambda:InvokeFunction'],
    resource: onArn('lambda', 'function:pg-deploy-step-ENV-FUNCTION:*'),
    reach: 'environment',
    reason:
      'An execution that started before an update of the stack invokes the versions with which it started.',
  },
  {
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    resource: onArn('logs', 'log-group:/aws/lambda/pg-deploy-step-ENV-FUNCTION:*'),
    reach: 'environment',
    reason: 'Lambda chooses the names of log streams.',
  },
];

/** The names that stand for the placeholders in `resource`. */
export interface Placeholders {
  environment: string;
  cluster: string;
  family: string;
  machines: readonly string[];
  functions: readonly string[];
}

/** The entry that allows a permission with a wildcard, or undefined. */
export function forcedWildcardOf(permission: Permission, names: Placeholders): ForcedWildcard | undefined {
  return FORCED_WILDCARDS.find(
    (forced) =>
      forced.actions.includes(permission.action) &&
      resourcesOf(forced.resource, names).includes(permission.resource),
  );
}

function resourcesOf(
  resource: string,
  { environment, cluster, family, machines, functions }: Placeholders,
): string[] {
  const named = resource.replace('ENV', environment).replace('CLUSTER', cluster).replace('FAMILY', family);
  if (named.includes('MACHINE')) return machines.map((machine) => named.replace('MACHINE', machine));
  if (named.includes('FUNCTION')) return functions.map((name) => named.replace('FUNCTION', name));
  return [named];
}

/** Whether the condition of a permission, if it has one, can hold for a resource in the given cluster. */
export function conditionAllows(condition: unknown, clusterArn: string): boolean {
  const cluster = (condition as { ArnEquals?: { 'ecs:cluster'?: string } } | undefined)?.ArnEquals?.[
    'ecs:cluster'
  ];
  return cluster === undefined || iamMatches(cluster, clusterArn);
}
