import { localArn } from './local-arns.ts';

/** The permission that a call of an SDK integration needs, and the error without it. */
export interface RequiredPermission {
  readonly action: string;
  readonly resource: string;
  /** The name that Step Functions gives a refusal. */
  readonly error: string;
}

type Parameters = Readonly<Record<string, unknown>>;

interface Checked {
  /** Prefix of the IAM actions. */
  readonly iam: string;
  readonly error: string;
  /** The ARN on which IAM decides, for each action. */
  readonly resources: Readonly<Record<string, (parameters: Parameters) => string>>;
  /** The role that the call passes to the service. @default none */
  readonly passedRole?: (parameters: Parameters) => string | undefined;
}

const service = (name: string) => (parameters: Parameters) =>
  localArn('ecs', `service/${String(parameters.Cluster)}/${String([parameters[name]].flat()[0])}`);
/** IAM knows a parameter without its version: NAME:VERSION is the parameter NAME. */
const parameter = (name: string) => (parameters: Parameters) =>
  localArn('ssm', `parameter/${String(parameters[name]).replace(/^\//, '').replace(/:.*$/, '')}`);
const rule = ({ Name, EventBusName = 'default' }: Parameters) =>
  localArn('events', `rule/${EventBusName === 'default' ? '' : `${String(EventBusName)}/`}${String(Name)}`);
const schedule = ({ GroupName = 'default', Name }: Parameters) =>
  localArn('scheduler', `schedule/${String(GroupName)}/${String(Name)}`);
const mapping = ({ Uuid }: Parameters) => localArn('lambda', `event-source-mapping:${String(Uuid)}`);

/** The services whose calls a saved state is restored with. The local AWS checks no other calls. */
const CHECKED: Readonly<Record<string, Checked>> = {
  ecs: {
    iam: 'ecs',
    error: 'Ecs.AccessDeniedException',
    resources: { describeServices: service('Services'), updateService: service('Service') },
  },
  ssm: {
    iam: 'ssm',
    error: 'Ssm.SsmException',
    resources: {
      putParameter: parameter('Name'),
      getParameter: parameter('Name'),
      deleteParameter: parameter('Name'),
      getParametersByPath: parameter('Path'),
    },
  },
  eventbridge: {
    iam: 'events',
    error: 'EventBridge.EventBridgeException',
    resources: { describeRule: rule, enableRule: rule, disableRule: rule },
  },
  cloudwatch: {
    iam: 'cloudwatch',
    error: 'CloudWatch.CloudWatchException',
    // IAM supports no resources for it.
    resources: { putMetricData: () => '*' },
  },
  lambda: {
    iam: 'lambda',
    error: 'Lambda.LambdaException',
    resources: { getEventSourceMapping: mapping, updateEventSourceMapping: mapping },
  },
  applicationautoscaling: {
    iam: 'application-autoscaling',
    error: 'ApplicationAutoScaling.ApplicationAutoScalingException',
    resources: {
      registerScalableTarget: () => localArn('application-autoscaling', 'scalable-target/0123456789abcdef'),
    },
  },
  scheduler: {
    iam: 'scheduler',
    error: 'Scheduler.SchedulerException',
    resources: { getSchedule: schedule, updateSchedule: schedule },
    passedRole: ({ Target }) => (Target as { RoleArn?: string } | undefined)?.RoleArn,
  },
  elasticloadbalancingv2: {
    iam: 'elasticloadbalancing',
    error: 'ElasticLoadBalancingV2.ElasticLoadBalancingV2Exception',
    // IAM supports no resources for it.
    resources: { describeTargetHealth: () => '*' },
  },
};

/** @param integration the Resource of a Task state. @returns none if the local AWS does not check the call */
export function requiredPermissions(integration: string, parameters: unknown): RequiredPermission[] {
  const [, api = '', action = ''] = /^arn:aws:states:::aws-sdk:(\w+):(\w+)$/.exec(integration) ?? [];
  const checked = CHECKED[api];
  const resourceOf = checked?.resources[action];
  if (checked === undefined || resourceOf === undefined) return [];
  const { iam, error, passedRole } = checked;
  const given = (parameters ?? {}) as Parameters;
  const role = passedRole?.(given);
  return [
    {
      action: `${iam}:${action.charAt(0).toUpperCase()}${action.slice(1)}`,
      resource: resourceOf(given),
      error,
    },
    ...(role === undefined ? [] : [{ action: 'iam:PassRole', resource: role, error }]),
  ];
}
