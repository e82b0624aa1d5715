import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  Choice,
  Condition,
  JsonPath,
  Pass,
  type State,
  type TaskStateBase,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { type EcsService, resourceKey } from '../../config/services-config.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';
import { NULL } from '../null-parameters.ts';
import { catchAll } from '../retry-and-catch.ts';
import { ECS } from '../state-names.ts';
import { checkRevision, IS_REVISION_REQUESTED } from './ecs-revision.ts';
import { waitForStoppedTasks } from './ecs-stopped-tasks.ts';
import type { ParameterName } from './saved-state.ts';
import {
  type AfterCheck,
  type AfterStart,
  type AfterStop,
  type AfterUpdate,
  LAST_ROUND,
  refusal,
  type ServiceKind,
  type WaitLimits,
} from './service-kind.ts';
import { startEcsService } from './start-ecs-service.ts';
import { UPDATED_REVISION, updateEcsService } from './update-ecs-service.ts';

/** Fields of a response of DescribeServices. The lists are empty if the service does not exist. */
const DEPLOYMENTS = {
  'services.$': '$.Services',
  'running.$': "$.Services[*].Deployments[?(@.RolloutState == 'IN_PROGRESS')].Id",
  'replaced.$': "$.Services[*].Deployments[?(@.Status == 'ACTIVE')].Id",
  // Empty behind a Classic Load Balancer, where deployments have no rollout state.
  'primary.$': "$.Services[*].Deployments[?(@.Status == 'PRIMARY')].RolloutState",
  // Of CodeDeploy and of external deployment controllers, which have no deployments here.
  'taskSets.$': '$.Services[*].TaskSets[*].Id',
  // Lists: a service of an external controller has no task definition, and one of ECS may have no field for its controller.
  'taskDefinition.$': '$.Services[*].TaskDefinition',
  'primaryRevision.$': "$.Services[*].Deployments[?(@.Status == 'PRIMARY')].TaskDefinition",
  'controller.$': '$.Services[*].DeploymentController.Type',
};

/** The fields of `$.current` that the check of scaling does not change. */
const SAME_COUNT = {
  'desiredCount.$': '$.current.desiredCount',
  'taskDefinition.$': '$.current.taskDefinition',
};

const HAS_FAILED = Condition.and(
  Condition.isPresent('$.described.primary[0]'),
  Condition.stringEquals('$.described.primary[0]', 'FAILED'),
);

function isDeploying(): Condition {
  return Condition.or(
    Condition.isPresent('$.described.running[0]'),
    Condition.isPresent('$.described.replaced[0]'),
    Condition.isPresent('$.described.taskSets[1]'),
  );
}

/**
 * ECS services, with or without Application Auto Scaling.
 * Check: a service in the middle of an ECS deployment is waited for, except in a rehearsal, and refused after the deadline.
 * Stop: suspend scaling unless it is suspended already, set the desired count to 0, wait until every task is STOPPED.
 * Start: set the saved desired count, wait until the service is steady, restore the suspended state of scaling.
 * `$.current` holds `desiredCount`, `taskDefinition` (a list of one ARN, empty with an external controller) and `scaling`: the
 * suspended state, or null for a service without scaling, and for one at 0 whose minimum capacity is above 0: its scaling is not
 * changed. The revision of a deploy that names one is in `$.service`: see ecs-revision.ts.
 */
export class EcsServices implements ServiceKind {
  readonly kind = 'ecs';
  readonly #services: readonly EcsService[];
  readonly #limits: WaitLimits;
  readonly #completed: ParameterName;

  /** @param completed see `ServiceTargets.completed` */
  constructor(services: readonly EcsService[], limits: WaitLimits, completed: ParameterName) {
    this.#services = services;
    this.#limits = limits;
    this.#completed = completed;
  }

  get isUsed(): boolean {
    return this.#services.length > 0;
  }

  check(scope: Construct, next: AfterCheck): State {
    const describe = this.#describe(scope, ECS.describe, { path: '$.described', selector: DEPLOYMENTS });
    const recordCount = new Pass(scope, ECS.recordCount, {
      parameters: {
        'desiredCount.$': '$.described.services[0].DesiredCount',
        'taskDefinition.$': '$.described.taskDefinition',
        scaling: NULL,
      },
      resultPath: '$.current',
    });
    const first = '$.described.services[0]';
    const refuse = (id: string, reason: string, waits = false) => {
      const state = refusal(scope, id, reason, waits);
      state.next(next.refused);
      return state;
    };
    const notFound = refuse(
      ECS.notFound,
      'the ECS service does not exist: check "cluster" and "service" of its entry in cdk.json',
    );
    const daemon = refuse(
      ECS.daemon,
      'it is a DAEMON service, which cannot be scaled to 0: remove it from the configuration',
    );
    const failed = refuse(
      ECS.deploymentFailed,
      'its last ECS deployment failed, and ECS starts no task for a failed deployment, so the service could not be started again: deploy a revision that works, and then start this deploy again',
    );
    const deploying = refuse(
      ECS.deploymentRunning,
      'it is in the middle of an ECS deployment, which did not end within "deploymentMinutes": wait until it has ended, or roll it back, and then start this deploy again',
    );
    describe.addCatch(notFound, {
      errors: ['Ecs.ClusterNotFoundException'],
      resultPath: JsonPath.DISCARD,
    });
    catchAll(describe, next.failed, '$.failure');
    const inPlan = refuse(
      ECS.deploymentRunningInPlan,
      'it is in the middle of an ECS deployment: a deploy waits until that has ended, for at most "deploymentMinutes"',
      true,
    );
    const isUsable = new Choice(scope, ECS.isUsable)
      .when(Condition.not(Condition.isPresent(first)), notFound)
      .when(Condition.not(Condition.stringEquals(`${first}.Status`, 'ACTIVE')), notFound)
      .when(Condition.stringEquals(`${first}.SchedulingStrategy`, 'DAEMON'), daemon)
      .when(HAS_FAILED, failed);
    if (this.#services.some(({ roles }) => roles !== undefined)) {
      isUsable.when(
        Condition.and(Condition.not(isDeploying()), IS_REVISION_REQUESTED),
        checkRevision(scope, { ...next, usable: recordCount }),
      );
    }
    describe.next(
      isUsable
        .when(Condition.not(isDeploying()), recordCount)
        .when(
          Condition.or(
            Condition.numberGreaterThanEquals('$.deployment.checks', this.#limits.deploymentChecks),
            Condition.numberGreaterThanEquals('$.round', LAST_ROUND),
          ),
          deploying,
        )
        .when(Condition.booleanEquals('$.rehearsal', true), inPlan)
        .otherwise(this.#waitForDeployment(scope, describe)),
    );
    recordCount.next(
      new Choice(scope, ECS.hasScaling)
        .when(Condition.booleanEquals('$.service.scaling', true), this.#checkScaling(scope, next))
        .otherwise(next.usable),
    );
    return describe;
  }

  /** Waits and then reads the service again. Counts in `$.deployment.checks`. */
  #waitForDeployment(scope: Construct, describe: TaskStateBase): Wait {
    const wait = new Wait(scope, ECS.waitForDeployment, {
      time: WaitTime.duration(Duration.seconds(this.#limits.deploymentPollSeconds)),
    });
    const count = new Pass(scope, ECS.countDeployment, {
      parameters: { waited: true, checks: JsonPath.mathAdd(JsonPath.numberAt('$.deployment.checks'), 1) },
      resultPath: '$.deployment',
    });
    wait.next(count).next(describe);
    return wait;
  }

  #checkScaling(scope: Construct, { usable, refused, failed }: AfterCheck): State {
    const describe = this.#scaling(scope, ECS.describeScaling, {
      action: 'describeScalableTargets',
      parameters: {
        ServiceNamespace: 'ecs',
        ResourceIds: JsonPath.array(JsonPath.stringAt('$.service.resourceId')),
        ScalableDimension: 'ecs:service:DesiredCount',
      },
      result: { path: '$.scalable', selector: { 'targets.$': '$.ScalableTargets' } },
    });
    catchAll(describe, failed, '$.failure');
    const recordScaling = new Pass(scope, ECS.recordScaling, {
      parameters: {
        ...SAME_COUNT,
        'scaling.$': '$.scalable.targets[0].SuspendedState',
      },
      resultPath: '$.current',
    });
    // The response may omit the suspended state of a target that was never suspended.
    const recordNotSuspended = new Pass(scope, ECS.recordScalingNotSuspended, {
      parameters: {
        ...SAME_COUNT,
        scaling: {
          DynamicScalingInSuspended: false,
          DynamicScalingOutSuspended: false,
          ScheduledScalingSuspended: false,
        },
      },
      resultPath: '$.current',
    });
    const notFound = refusal(
      scope,
      ECS.scalingNotFound,
      'it has no Application Auto Scaling, but "scaling" is true: set it to false',
    );
    notFound.next(refused);
    // Registering the target again would start a task that did not run before, in the window and after it.
    const unchanged = new Pass(scope, ECS.recordScalingUnchanged, {
      parameters: { ...SAME_COUNT, scaling: NULL },
      resultPath: '$.current',
    });
    for (const record of [recordScaling, recordNotSuspended, unchanged]) record.next(usable);
    const minimum = '$.scalable.targets[0].MinCapacity';
    describe.next(
      new Choice(scope, ECS.scalingFound)
        .when(
          Condition.and(
            Condition.numberEquals('$.current.desiredCount', 0),
            Condition.isPresent(minimum),
            Condition.numberGreaterThan(minimum, 0),
          ),
          unchanged,
        )
        .when(Condition.isPresent('$.scalable.targets[0].SuspendedState'), recordScaling)
        .when(Condition.isPresent('$.scalable.targets[0]'), recordNotSuspended)
        .otherwise(notFound),
    );
    return describe;
  }

  stop(scope: Construct, after: AfterStop): State {
    const suspend = this.#register(scope, ECS.suspendScaling, {
      DynamicScalingInSuspended: true,
      DynamicScalingOutSuspended: true,
      ScheduledScalingSuspended: true,
    });
    const toZero = this.#update(scope, ECS.stop, { DesiredCount: 0 });
    for (const call of [suspend, toZero]) catchAll(call, after.failed, '$.failure');
    const waiting = waitForStoppedTasks(scope, {
      clusters: [...new Set(this.#services.map(({ cluster }) => cluster))],
      limits: this.#limits,
      counts: this.#counts(scope, ECS.stopped.check),
      after,
    });
    suspend.next(toZero).next(waiting);
    // The state of scaling at the check, which is not the saved one if an earlier deploy has suspended it.
    const flag = (name: string) =>
      Condition.and(
        Condition.isPresent(`$.current.scaling.${name}`),
        Condition.booleanEquals(`$.current.scaling.${name}`, true),
      );
    return (
      new Choice(scope, ECS.shouldSuspendScaling)
        .when(Condition.booleanEquals('$.service.scaling', false), toZero)
        // The service was at 0 before, below its minimum capacity.
        .when(Condition.isNull('$.current.scaling'), toZero)
        // Registering it again would raise the desired count of a service at 0 to the minimum capacity.
        .when(
          Condition.and(
            flag('DynamicScalingInSuspended'),
            flag('DynamicScalingOutSuspended'),
            flag('ScheduledScalingSuspended'),
          ),
          toZero,
        )
        .otherwise(suspend)
    );
  }

  checkCount(scope: Construct, id: string): State {
    // A list: empty if someone has deleted the service.
    return this.#describe(scope, id, {
      path: '$.described',
      selector: { 'desired.$': '$.Services[*].DesiredCount' },
    });
  }

  readonly canBeStarted = Condition.and(
    Condition.isPresent('$.service.cluster'),
    Condition.isPresent('$.service.service'),
    Condition.isPresent('$.savedState.value.current.desiredCount'),
    Condition.isNumeric('$.savedState.value.current.desiredCount'),
  );

  start(scope: Construct, after: AfterStart): State {
    return startEcsService(scope, { limits: this.#limits, completed: this.#completed }, after);
  }

  /** Restores the scaling as it was saved, whatever is configured now. */
  afterStart(scope: Construct, { steady, failed }: Pick<AfterStart, 'steady' | 'failed'>): State {
    const saved = '$.savedState.value.current.scaling';
    const resume = awsCall(scope, ECS.resumeScaling, {
      api: 'applicationautoscaling',
      ...registerTarget(JsonPath.objectAt(saved)),
    });
    catchAll(resume, failed, '$.failure');
    resume.next(steady);
    return new Choice(scope, ECS.shouldResumeScaling)
      .when(
        Condition.and(
          Condition.isPresent(saved),
          Condition.isNotNull(saved),
          Condition.isPresent('$.service.resourceId'),
        ),
        resume,
      )
      .otherwise(steady);
  }

  updateRevision(scope: Construct, after: AfterUpdate): State {
    const update = this.#update(scope, ECS.update.start, { TaskDefinition: UPDATED_REVISION });
    const check = this.#describe(scope, ECS.update.checks.check, {
      path: '$.described',
      selector: DEPLOYMENTS,
    });
    return updateEcsService(
      scope,
      { update, check, isDeploying: isDeploying(), hasFailed: HAS_FAILED },
      { limits: this.#limits, after },
    );
  }

  get revisionRights(): PolicyStatement[] {
    return this.#services.flatMap(mayPass);
  }

  restoreRights(scope: Construct): Record<string, PolicyStatement[]> {
    const ofServices = this.#services.map((service, at) => [
      resourceKey(service),
      [
        new PolicyStatement({
          actions: ['ecs:DescribeServices', 'ecs:UpdateService'],
          resources: this.#serviceArns(scope).slice(at, at + 1),
        }),
        ...mayPass(service),
      ],
    ]);
    const ofTargetGroups = new PolicyStatement({
      actions: ['elasticloadbalancing:DescribeTargetHealth'],
      // It only reads, and IAM supports no resources for it.
      resources: ['*'],
    });
    const ofScaling = new PolicyStatement({
      actions: ['application-autoscaling:RegisterScalableTarget'],
      resources: scalableTargets(scope),
      conditions: ONLY_DESIRED_COUNTS,
    });
    return Object.fromEntries([
      ...ofServices,
      ...(this.isUsed ? [['ecs target groups', [ofTargetGroups]]] : []),
      ...(this.#services.some(({ scaling }) => scaling) ? [['ecs scaling', [ofScaling]]] : []),
    ]);
  }

  #describe(scope: Construct, id: string, result: NonNullable<AwsCall['result']>): TaskStateBase {
    return awsCall(scope, id, {
      api: 'ecs',
      action: 'describeServices',
      iamResources: this.#serviceArns(scope),
      parameters: {
        Cluster: JsonPath.stringAt('$.service.cluster'),
        Services: JsonPath.array(JsonPath.stringAt('$.service.service')),
      },
      result,
    });
  }

  #counts(scope: Construct, id: string): TaskStateBase {
    return this.#describe(scope, id, {
      path: '$.counts',
      selector: {
        'desired.$': '$.Services[*].DesiredCount',
        'running.$': '$.Services[*].RunningCount',
        'pending.$': '$.Services[*].PendingCount',
      },
    });
  }

  #update(
    scope: Construct,
    id: string,
    change: { DesiredCount: number } | { TaskDefinition: string },
  ): TaskStateBase {
    return awsCall(scope, id, {
      api: 'ecs',
      action: 'updateService',
      iamResources: this.#serviceArns(scope),
      parameters: {
        Cluster: JsonPath.stringAt('$.service.cluster'),
        Service: JsonPath.stringAt('$.service.service'),
        ...change,
      },
    });
  }

  #register(scope: Construct, id: string, suspendedState: unknown): TaskStateBase {
    return this.#scaling(scope, id, registerTarget(suspendedState));
  }

  #scaling(
    scope: Construct,
    id: string,
    call: Pick<AwsCall, 'action' | 'parameters' | 'result'>,
  ): TaskStateBase {
    // IAM supports no resource and no condition for DescribeScalableTargets, which only reads.
    const rights =
      call.action === 'describeScalableTargets'
        ? { iamResources: ['*'] }
        : { iamResources: scalableTargets(scope), iamConditions: ONLY_DESIRED_COUNTS };
    return awsCall(scope, id, { api: 'applicationautoscaling', ...rights, ...call });
  }

  #serviceArns(scope: Construct): string[] {
    return this.#services.map(({ cluster, service }) =>
      Stack.of(scope).formatArn({
        service: 'ecs',
        resource: 'service',
        resourceName: `${cluster}/${service}`,
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      }),
    );
  }
}

/** The ARN of a scalable target ends in an id that is unknown at synth, so a condition says what kind of target it is. */
const ONLY_DESIRED_COUNTS = {
  StringEquals: {
    'application-autoscaling:service-namespace': 'ecs',
    'application-autoscaling:scalable-dimension': 'ecs:service:DesiredCount',
  },
};

/** UpdateService with a task definition needs the right to pass its roles to ECS. */
function mayPass({ roles }: EcsService): PolicyStatement[] {
  const resources = [...new Set(Object.values(roles ?? {}))].filter((role) => role !== 'none');
  if (resources.length === 0) return [];
  return [
    new PolicyStatement({
      actions: ['iam:PassRole'],
      resources,
      conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
    }),
  ];
}

/** RegisterScalableTarget without limits keeps the limits of an existing target. */
function registerTarget(suspendedState: unknown): Pick<AwsCall, 'action' | 'parameters'> {
  return {
    action: 'registerScalableTarget',
    parameters: {
      ServiceNamespace: 'ecs',
      ResourceId: JsonPath.stringAt('$.service.resourceId'),
      ScalableDimension: 'ecs:service:DesiredCount',
      SuspendedState: suspendedState,
    },
  };
}

/** The ARN of a scalable target ends in an id that is unknown at synth. */
function scalableTargets(scope: Construct): string[] {
  return [
    Stack.of(scope).formatArn({
      service: 'application-autoscaling',
      resource: 'scalable-target',
      resourceName: '*',
    }),
  ];
}
