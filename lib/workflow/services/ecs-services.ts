import { ArnFormat, Stack } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  type State,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { EcsService } from '../../config/services-config.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';
import { NULL } from '../null-parameters.ts';
import { ECS } from '../state-names.ts';
import { waitUntil } from '../wait-until.ts';
import {
  type AfterCheck,
  type AfterStart,
  type AfterStop,
  refusal,
  type ServiceKind,
  type WaitLimits,
} from './service-kind.ts';

/**
 * ECS services, with or without Application Auto Scaling.
 * Stop: suspend scaling, set the desired count to 0, wait until no task is left.
 * Start: set the saved desired count, wait until all tasks run, restore the suspended state of scaling.
 * `$.current` holds `desiredCount` and `scaling`: the suspended state, or null for a service without scaling.
 */
export class EcsServices implements ServiceKind {
  readonly kind = 'ecs';
  readonly #services: readonly EcsService[];
  readonly #limits: WaitLimits;

  constructor(services: readonly EcsService[], limits: WaitLimits) {
    this.#services = services;
    this.#limits = limits;
  }

  get isUsed(): boolean {
    return this.#services.length > 0;
  }

  check(scope: Construct, next: AfterCheck): State {
    const describe = this.#describe(scope, ECS.describe, {
      path: '$.described',
      // The whole list, which is empty if the service does not exist.
      selector: { 'services.$': '$.Services' },
    });
    const recordCount = new Pass(scope, ECS.recordCount, {
      parameters: { 'desiredCount.$': '$.described.services[0].DesiredCount', scaling: NULL },
      resultPath: '$.current',
    });
    const first = '$.described.services[0]';
    const notFound = refusal(
      scope,
      ECS.notFound,
      'the ECS service does not exist: check "cluster" and "service"',
    );
    const daemon = refusal(
      scope,
      ECS.daemon,
      'it is a DAEMON service, which cannot be scaled to 0: remove it from the configuration',
    );
    for (const reason of [notFound, daemon]) reason.next(next.refused);
    describe.next(
      new Choice(scope, ECS.isUsable)
        .when(Condition.not(Condition.isPresent(first)), notFound)
        .when(Condition.not(Condition.stringEquals(`${first}.Status`, 'ACTIVE')), notFound)
        .when(Condition.stringEquals(`${first}.SchedulingStrategy`, 'DAEMON'), daemon)
        .otherwise(recordCount),
    );
    recordCount.next(
      new Choice(scope, ECS.hasScaling)
        .when(Condition.booleanEquals('$.service.scaling', true), this.#checkScaling(scope, next))
        .otherwise(next.usable),
    );
    return describe;
  }

  #checkScaling(scope: Construct, { usable, refused }: AfterCheck): State {
    const describe = this.#scaling(scope, ECS.describeScaling, {
      action: 'describeScalableTargets',
      parameters: {
        ServiceNamespace: 'ecs',
        ResourceIds: JsonPath.array(JsonPath.stringAt('$.service.resourceId')),
        ScalableDimension: 'ecs:service:DesiredCount',
      },
      result: { path: '$.scalable', selector: { 'targets.$': '$.ScalableTargets' } },
    });
    const recordScaling = new Pass(scope, ECS.recordScaling, {
      parameters: {
        'desiredCount.$': '$.current.desiredCount',
        'scaling.$': '$.scalable.targets[0].SuspendedState',
      },
      resultPath: '$.current',
    });
    // The response may omit the suspended state of a target that was never suspended.
    const recordNotSuspended = new Pass(scope, ECS.recordScalingNotSuspended, {
      parameters: {
        'desiredCount.$': '$.current.desiredCount',
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
    for (const record of [recordScaling, recordNotSuspended]) record.next(usable);
    describe.next(
      new Choice(scope, ECS.scalingFound)
        .when(Condition.isPresent('$.scalable.targets[0].SuspendedState'), recordScaling)
        .when(Condition.isPresent('$.scalable.targets[0]'), recordNotSuspended)
        .otherwise(notFound),
    );
    return describe;
  }

  stop(scope: Construct, { stopped, late }: AfterStop): State {
    const suspend = this.#register(scope, ECS.suspendScaling, {
      DynamicScalingInSuspended: true,
      DynamicScalingOutSuspended: true,
      ScheduledScalingSuspended: true,
    });
    const toZero = this.#setCount(scope, ECS.stop, 0);
    const waiting = waitUntil(scope, {
      names: ECS.stopped,
      check: this.#counts(scope, ECS.stopped.check),
      reached: Condition.and(
        Condition.numberEquals('$.counts.running', 0),
        Condition.numberEquals('$.counts.pending', 0),
      ),
      checks: this.#limits.stopChecks,
      pollSeconds: this.#limits.pollSeconds,
      onReached: stopped,
      onLate: late,
    });
    suspend.next(toZero).next(waiting);
    return new Choice(scope, ECS.shouldSuspendScaling)
      .when(Condition.booleanEquals('$.service.scaling', true), suspend)
      .otherwise(toZero);
  }

  start(scope: Construct, { steady, late }: AfterStart): State {
    const desiredCount = '$.savedState.value.current.desiredCount';
    const start = this.#setCount(scope, ECS.start, JsonPath.numberAt(desiredCount));
    const waiting = waitUntil(scope, {
      names: ECS.running,
      check: this.#counts(scope, ECS.running.check),
      // A change of the desired count starts no ECS deployment, so no circuit breaker detects tasks that fail.
      reached: Condition.numberEqualsJsonPath('$.counts.running', desiredCount),
      checks: this.#limits.startChecks,
      pollSeconds: this.#limits.pollSeconds,
      onReached: steady,
      onLate: late,
    });
    start.next(waiting);
    return start;
  }

  afterStart(scope: Construct, next: IChainable): State {
    const resume = this.#register(
      scope,
      ECS.resumeScaling,
      JsonPath.objectAt('$.savedState.value.current.scaling'),
    );
    resume.next(next);
    return new Choice(scope, ECS.shouldResumeScaling)
      .when(Condition.booleanEquals('$.service.scaling', true), resume)
      .otherwise(next);
  }

  #describe(scope: Construct, id: string, result: NonNullable<AwsCall['result']>): CallAwsService {
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

  #counts(scope: Construct, id: string): CallAwsService {
    return this.#describe(scope, id, {
      path: '$.counts',
      selector: { 'running.$': '$.Services[0].RunningCount', 'pending.$': '$.Services[0].PendingCount' },
    });
  }

  #setCount(scope: Construct, id: string, desiredCount: number): CallAwsService {
    return awsCall(scope, id, {
      api: 'ecs',
      action: 'updateService',
      iamResources: this.#serviceArns(scope),
      parameters: {
        Cluster: JsonPath.stringAt('$.service.cluster'),
        Service: JsonPath.stringAt('$.service.service'),
        DesiredCount: desiredCount,
      },
    });
  }

  /** RegisterScalableTarget without limits keeps the limits of an existing target. */
  #register(scope: Construct, id: string, suspendedState: unknown): CallAwsService {
    return this.#scaling(scope, id, {
      action: 'registerScalableTarget',
      parameters: {
        ServiceNamespace: 'ecs',
        ResourceId: JsonPath.stringAt('$.service.resourceId'),
        ScalableDimension: 'ecs:service:DesiredCount',
        SuspendedState: suspendedState,
      },
    });
  }

  #scaling(
    scope: Construct,
    id: string,
    call: Pick<AwsCall, 'action' | 'parameters' | 'result'>,
  ): CallAwsService {
    // IAM supports no resource for DescribeScalableTargets. The ARN of a target ends in an id that is unknown at synth.
    const arns =
      call.action === 'describeScalableTargets'
        ? ['*']
        : [
            Stack.of(scope).formatArn({
              service: 'application-autoscaling',
              resource: 'scalable-target',
              resourceName: '*',
            }),
          ];
    return awsCall(scope, id, { api: 'applicationautoscaling', iamResources: arns, ...call });
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
