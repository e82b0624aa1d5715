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
import type { EcsService } from '../../config/environment-config.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';
import { NULL } from '../null-parameters.ts';
import { ECS } from '../state-names.ts';
import { refusal } from './refusal.ts';
import type { Patience, ServiceKind } from './service-kind.ts';
import { waitUntil } from './wait-until.ts';

/**
 * ECS services, with or without Application Auto Scaling. Order: suspend scaling, desired count 0, no task left; then
 * the desired count, all tasks running, scaling as it was. `current` holds `desiredCount` and `scaling`, the suspended
 * state, or null.
 */
export class EcsServices implements ServiceKind {
  readonly kind = 'ecs';
  readonly #services: readonly EcsService[];
  readonly #patience: Patience;

  constructor(services: readonly EcsService[], patience: Patience) {
    this.#services = services;
    this.#patience = patience;
  }

  get isUsed(): boolean {
    return this.#services.length > 0;
  }

  check(scope: Construct, { usable, refused }: { usable: IChainable; refused: IChainable }): State {
    const describe = this.#describe(scope, ECS.describe, {
      path: '$.described',
      // The whole list: it is empty where the service does not exist.
      selector: { 'services.$': '$.Services' },
    });
    const note = new Pass(scope, ECS.recordCount, {
      parameters: { 'desiredCount.$': '$.described.services[0].DesiredCount', scaling: NULL },
      resultPath: '$.current',
    });
    const first = '$.described.services[0]';
    const notFound = refusal(
      scope,
      ECS.notFound,
      'there is no such ECS service: check "cluster" and "service"',
    );
    const daemon = refusal(
      scope,
      ECS.daemon,
      'it is a DAEMON service, which cannot be scaled to 0: leave it out',
    );
    for (const reason of [notFound, daemon]) reason.next(refused);
    describe.next(
      new Choice(scope, ECS.isUsable)
        .when(Condition.not(Condition.isPresent(first)), notFound)
        .when(Condition.not(Condition.stringEquals(`${first}.Status`, 'ACTIVE')), notFound)
        .when(Condition.stringEquals(`${first}.SchedulingStrategy`, 'DAEMON'), daemon)
        .otherwise(note),
    );
    note.next(
      new Choice(scope, ECS.hasScaling)
        .when(Condition.booleanEquals('$.service.scaling', true), this.#checkScaling(scope, usable, refused))
        .otherwise(usable),
    );
    return describe;
  }

  #checkScaling(scope: Construct, usable: IChainable, refused: IChainable): State {
    const describe = this.#scaling(scope, ECS.describeScaling, {
      action: 'describeScalableTargets',
      parameters: {
        ServiceNamespace: 'ecs',
        ResourceIds: JsonPath.array(JsonPath.stringAt('$.service.resourceId')),
        ScalableDimension: 'ecs:service:DesiredCount',
      },
      result: { path: '$.scalable', selector: { 'targets.$': '$.ScalableTargets' } },
    });
    const note = new Pass(scope, ECS.recordScaling, {
      parameters: {
        'desiredCount.$': '$.current.desiredCount',
        'scaling.$': '$.scalable.targets[0].SuspendedState',
      },
      resultPath: '$.current',
    });
    // The answer may leave out what was never suspended.
    const noteNone = new Pass(scope, ECS.recordScalingNotSuspended, {
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
    const none = refusal(
      scope,
      ECS.scalingNotFound,
      'it has no Application Auto Scaling, although "scaling" is true: set it to false',
    );
    none.next(refused);
    for (const noted of [note, noteNone]) noted.next(usable);
    describe.next(
      new Choice(scope, ECS.scalingFound)
        .when(Condition.isPresent('$.scalable.targets[0].SuspendedState'), note)
        .when(Condition.isPresent('$.scalable.targets[0]'), noteNone)
        .otherwise(none),
    );
    return describe;
  }

  stop(scope: Construct, { stopped, late }: { stopped: IChainable; late: IChainable }): State {
    const suspend = this.#register(scope, ECS.suspendScaling, {
      DynamicScalingInSuspended: true,
      DynamicScalingOutSuspended: true,
      ScheduledScalingSuspended: true,
    });
    const toZero = this.#setCount(scope, ECS.stop, 0);
    const waiting = waitUntil(scope, {
      names: ECS.stopped,
      look: this.#counts(scope, ECS.stopped.check),
      reached: Condition.and(
        Condition.numberEquals('$.counts.running', 0),
        Condition.numberEquals('$.counts.pending', 0),
      ),
      looks: this.#patience.stopLooks,
      pollSeconds: this.#patience.pollSeconds,
      onReached: stopped,
      onLate: late,
    });
    suspend.next(toZero).next(waiting);
    return new Choice(scope, ECS.shouldSuspendScaling)
      .when(Condition.booleanEquals('$.service.scaling', true), suspend)
      .otherwise(toZero);
  }

  start(scope: Construct, { steady, late }: { steady: IChainable; late: IChainable }): State {
    const wanted = '$.memory.value.current.desiredCount';
    const start = this.#setCount(scope, ECS.start, JsonPath.numberAt(wanted));
    const waiting = waitUntil(scope, {
      names: ECS.running,
      look: this.#counts(scope, ECS.running.check),
      // Changing the count starts no deployment, so no circuit breaker of ECS guards this.
      reached: Condition.numberEqualsJsonPath('$.counts.running', wanted),
      looks: this.#patience.startLooks,
      pollSeconds: this.#patience.pollSeconds,
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
      JsonPath.objectAt('$.memory.value.current.scaling'),
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

  /** Registering a target again without limits leaves its limits as they are. */
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
    // DescribeScalableTargets knows no resources in IAM; a target's own ARN ends in an id that only its registration tells.
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
