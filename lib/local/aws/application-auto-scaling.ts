import { z } from 'zod';
import { ACCOUNT, localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { ScalingTarget, ServiceState, StateFile } from './state-file.ts';

const SDK = 'arn:aws:states:::aws-sdk:applicationautoscaling';

const targetFields = {
  ServiceNamespace: z.literal('ecs'),
  ResourceId: z.string().regex(/^service\/[^/]+\/[^/]+$/, 'service/CLUSTER/SERVICE'),
  ScalableDimension: z.literal('ecs:service:DesiredCount'),
};

/** Scalable targets of ECS services. A target keeps a service's desired count between a minimum and a maximum. */
export function scalingActions(file: StateFile, onChange: () => void): Actions {
  const { targets } = file.state.scaling;

  return Object.fromEntries([
    action(
      `${SDK}:registerScalableTarget`,
      z.strictObject({
        ...targetFields,
        MinCapacity: z.int().min(0).optional(),
        MaxCapacity: z.int().min(0).optional(),
        SuspendedState: z
          .strictObject({
            DynamicScalingInSuspended: z.boolean().optional(),
            DynamicScalingOutSuspended: z.boolean().optional(),
            ScheduledScalingSuspended: z.boolean().optional(),
          })
          .optional(),
      }),
      ({ ResourceId, MinCapacity, MaxCapacity, SuspendedState = {} }) => {
        const service = file.state.ecs.services.find((entry) => resourceIdOf(entry) === ResourceId);
        if (service === undefined) throw invalid(`ECS service doesn't exist: ${ResourceId}`);
        const existing = targets.find((target) => target.ResourceId === ResourceId);
        const min = MinCapacity ?? existing?.MinCapacity;
        const max = MaxCapacity ?? existing?.MaxCapacity;
        if (min === undefined || max === undefined) {
          throw invalid('MinCapacity and MaxCapacity are required to register a new scalable target');
        }
        if (min > max) throw invalid('Maximum capacity cannot be less than minimum capacity');
        const target = existing ?? newTarget(ResourceId, min, max);
        if (existing === undefined) targets.push(target);
        target.MinCapacity = min;
        target.MaxCapacity = max;
        for (const [flag, value] of Object.entries(SuspendedState)) {
          target.SuspendedState[flag as keyof ScalingTarget['SuspendedState']] = value === true;
        }
        // As in AWS: immediately, also while scaling is suspended, and also when the call has no capacities.
        service.desiredCount = Math.min(Math.max(service.desiredCount, min), max);
        file.save();
        onChange();
        return { ScalableTargetARN: arnOf(target) };
      },
    ),
    action(
      `${SDK}:describeScalableTargets`,
      z.strictObject({
        ServiceNamespace: targetFields.ServiceNamespace,
        ResourceIds: z.array(z.string()).max(50).optional(),
        ScalableDimension: targetFields.ScalableDimension.optional(),
      }),
      ({ ResourceIds }) => ({
        ScalableTargets: targets
          .filter((target) => ResourceIds === undefined || ResourceIds.includes(target.ResourceId))
          .map((target) => ({
            ...target,
            RoleARN: `arn:aws:iam::${ACCOUNT}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com`,
            ScalableTargetARN: arnOf(target),
          })),
      }),
    ),
  ]);
}

/** The desired count after scaling: at least the minimum, unless scaling out is suspended. */
export function countAfterScaling(file: StateFile, service: ServiceState): number {
  const target = file.state.scaling.targets.find((entry) => entry.ResourceId === resourceIdOf(service));
  if (target === undefined || target.SuspendedState.DynamicScalingOutSuspended) return service.desiredCount;
  return Math.max(service.desiredCount, target.MinCapacity);
}

/** A scalable target whose scaling is not suspended. */
export function newTarget(ResourceId: string, MinCapacity: number, MaxCapacity: number): ScalingTarget {
  return {
    ServiceNamespace: 'ecs',
    ResourceId,
    ScalableDimension: 'ecs:service:DesiredCount',
    CreationTime: new Date().toISOString(),
    MinCapacity,
    MaxCapacity,
    SuspendedState: {
      DynamicScalingInSuspended: false,
      DynamicScalingOutSuspended: false,
      ScheduledScalingSuspended: false,
    },
  };
}

export function resourceIdOf({ cluster, service }: Pick<ServiceState, 'cluster' | 'service'>): string {
  return `service/${cluster}/${service}`;
}

function arnOf({ ResourceId }: ScalingTarget): string {
  const id = Buffer.from(ResourceId).toString('hex').slice(0, 32);
  return localArn('application-autoscaling', `scalable-target/${id}`);
}

function invalid(message: string) {
  return serviceError('ApplicationAutoScaling.ValidationException', message);
}
