import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureOwnFile, ensureOwnFolder } from '../../files/own-folder.ts';

/** A task of a service that has not stopped yet. All times are ISO 8601. */
export interface TaskState {
  readonly id: string;
  readonly pid: number;
  /** Id of the deployment that started it. */
  readonly deployment: string;
  readonly taskDefinition: string;
  readonly startedAt: string;
  /** Since when its desired status is STOPPED. */
  stoppingSince?: string;
  /** When SIGTERM was sent. */
  signalledAt?: string;
  /** When its process had ended. */
  endedAt?: string;
}

/** A task whose last status is STOPPED. ECS shows it for an hour. */
export interface StoppedTaskState extends TaskState {
  readonly stoppedAt: string;
}

export interface DeploymentState {
  readonly id: string;
  /** FAMILY:REVISION. */
  readonly taskDefinition: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** PRIMARY: the most recent one. ACTIVE: it is being replaced and still has tasks. */
  status: 'PRIMARY' | 'ACTIVE';
  rolloutState: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  /** Alarms still observe it (its bake time): it stays IN_PROGRESS, also when all of its tasks run. */
  bakes?: boolean;
}

export interface ServiceState {
  readonly cluster: string;
  readonly service: string;
  readonly schedulingStrategy: 'REPLICA' | 'DAEMON';
  /** ISO 8601. */
  readonly createdAt: string;
  /** INACTIVE: it was deleted. ECS describes it for a while, and cannot update it. @default ACTIVE */
  status?: 'ACTIVE' | 'INACTIVE';
  desiredCount: number;
  /** Environment variables of its tasks. They contain the password of the database, so they are not in the file. */
  variables: Record<string, string>;
  /** How long a task stays in DEACTIVATING while the load balancer deregisters it, in seconds. */
  deregistrationDelaySeconds: number;
  /** How long a task stays in DEPROVISIONING after its process has ended, in seconds. */
  deprovisioningSeconds: number;
  /** Number of calls of DescribeServices after a change that still return the service as before. */
  staleReads: number;
  /** ARNs of the target groups of its load balancers. */
  targetGroups: string[];
  /** The health of its tasks in the target groups. */
  targetHealth: 'healthy' | 'unhealthy' | 'initial';
  /** What makes its deployments. @default ECS, which DescribeServices may omit */
  deploymentController?: 'CODE_DEPLOY' | 'EXTERNAL';
  /** The PRIMARY deployment and the ones that it replaces. */
  deployments: DeploymentState[];
  tasks: TaskState[];
  stoppedTasks: StoppedTaskState[];
}

/** A revision of the task definition of a service. */
export interface TaskDefinitionState {
  readonly family: string;
  readonly revision: number;
  /** INACTIVE: it was deregistered. Services that have it keep it, and no other one can get it. */
  status: 'ACTIVE' | 'INACTIVE';
  taskRoleArn?: string;
  executionRoleArn?: string;
}

/** A service as an earlier version wrote it, without the fields that it did not have. */
type StoredService = Pick<
  ServiceState,
  'cluster' | 'service' | 'schedulingStrategy' | 'createdAt' | 'desiredCount'
> &
  Partial<ServiceState>;

/** Completes a service that has no deployment yet: its PRIMARY deployment is `SERVICE:1`, and owns its tasks. */
export function serviceState(service: StoredService): ServiceState {
  const deployment: DeploymentState = {
    id: `ecs-svc/${service.service}`,
    taskDefinition: `${service.service}:1`,
    createdAt: service.createdAt,
    status: 'PRIMARY',
    rolloutState: 'COMPLETED',
  };
  return {
    deregistrationDelaySeconds: 0,
    deprovisioningSeconds: 0,
    staleReads: 0,
    targetGroups: [],
    targetHealth: 'healthy',
    deployments: [deployment],
    stoppedTasks: [],
    variables: {},
    ...service,
    tasks: (service.tasks ?? []).map((task) => ({
      ...task,
      deployment: task.deployment ?? deployment.id,
      taskDefinition: task.taskDefinition ?? deployment.taskDefinition,
    })),
  };
}

export interface ScalingTarget {
  readonly ServiceNamespace: string;
  readonly ResourceId: string;
  readonly ScalableDimension: string;
  /** ISO 8601. */
  readonly CreationTime: string;
  MinCapacity: number;
  MaxCapacity: number;
  SuspendedState: {
    DynamicScalingInSuspended: boolean;
    DynamicScalingOutSuspended: boolean;
    ScheduledScalingSuspended: boolean;
  };
}

interface StoredParameter {
  readonly Type: string;
  readonly Value: string;
  readonly Version: number;
  /** ISO 8601. */
  readonly LastModifiedDate: string;
  /** The values of earlier versions, the latest first. @default none */
  readonly earlier?: readonly { readonly Version: number; readonly Value: string }[];
}

interface PublishedMessage {
  readonly MessageId: string;
  readonly TopicArn: string;
  readonly Subject?: string;
  readonly Message: string;
  /** ISO 8601. */
  readonly publishedAt: string;
}

export interface RuleState {
  readonly name: string;
  readonly eventBus: string;
  state: 'ENABLED' | 'DISABLED';
  /** Number of reads that still return the previous state. @default 0 */
  staleReads?: number;
}

export interface MappingState {
  readonly uuid: string;
  enabled: boolean;
  /** Number of reads that still return Enabling or Disabling. */
  staleReads: number;
}

/** A schedule of EventBridge Scheduler, with the fields that GetSchedule returns. */
export interface ScheduleState {
  readonly Name: string;
  readonly GroupName: string;
  State: 'ENABLED' | 'DISABLED';
  /** The schedule before the last change, and the number of reads that still return it. @default none */
  stale?: { readonly schedule: ScheduleState; readonly reads: number };
  [field: string]: unknown;
}

/** The state of all local AWS services. */
export interface AwsState {
  ecs: { services: ServiceState[]; taskDefinitions: TaskDefinitionState[] };
  scaling: { targets: ScalingTarget[] };
  ssm: { parameters: Record<string, StoredParameter> };
  sns: { messages: PublishedMessage[] };
  eventBridge: { rules: RuleState[] };
  /** The data points of metrics, in order. */
  cloudWatch: { data: { namespace: string; metric: string; value: number; at: string }[] };
  lambda: { mappings: MappingState[] };
  scheduler: { schedules: ScheduleState[] };
}

/**
 * The state of the local AWS in a JSON file. Each change writes a new file and renames it, so the file is complete at any
 * time: after a killed run it contains what AWS would still have. Only one process at a time may use it.
 */
export class StateFile {
  readonly path: string;
  readonly state: AwsState;

  /** @throws Error when the file exists and cannot be read */
  constructor(file: string) {
    this.path = file;
    this.state = {
      ecs: { services: [], taskDefinitions: [] },
      scaling: { targets: [] },
      ssm: { parameters: {} },
      sns: { messages: [] },
      eventBridge: { rules: [] },
      cloudWatch: { data: [] },
      lambda: { mappings: [] },
      scheduler: { schedules: [] },
      ...read(file),
    };
  }

  /**
   * Writes the current state.
   * @throws Error when its folder is a link, or belongs to another user
   */
  save(): void {
    ensureOwnFolder(path.dirname(this.path));
    // A new file under a name that nobody can know: a link in its place is not followed.
    const draft = `${this.path}.${randomBytes(6).toString('hex')}.new`;
    const { ecs, ...others } = this.state;
    const services = ecs.services.map(({ variables: _, ...service }) => service);
    const text = JSON.stringify({ ecs: { ...ecs, services }, ...others }, null, 2);
    try {
      writeFileSync(draft, `${text}\n`, { mode: 0o600, flag: 'wx' });
      renameSync(draft, this.path);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
  }
}

function read(file: string): AwsState | undefined {
  let text: string;
  try {
    ensureOwnFile(file);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { ecs, ...others } = JSON.parse(text) as AwsState;
    const { services, taskDefinitions = [] } = ecs as Partial<AwsState['ecs']> &
      Pick<AwsState['ecs'], 'services'>;
    return {
      ecs: { services: services.map((service) => serviceState(service)), taskDefinitions },
      ...others,
    };
  } catch (cause) {
    throw new Error(
      `${file} does not contain the state of a local run. Remove the file. (${String(cause)})`,
      {
        cause,
      },
    );
  }
}
