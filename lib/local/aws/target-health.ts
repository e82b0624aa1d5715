import { z } from 'zod';
import { type Actions, action, serviceError } from './action.ts';
import type { ServiceTasks } from './service-tasks.ts';
import type { StateFile } from './state-file.ts';

/** Elastic Load Balancing: the health of the running tasks of the services that have a target group. */
export function targetHealthActions(file: StateFile, tasks: ServiceTasks): Actions {
  return Object.fromEntries([
    action(
      'arn:aws:states:::aws-sdk:elasticloadbalancingv2:describeTargetHealth',
      z.strictObject({ TargetGroupArn: z.string() }),
      ({ TargetGroupArn }) => {
        const services = file.state.ecs.services.filter(({ targetGroups }) =>
          targetGroups.includes(TargetGroupArn),
        );
        if (services.length === 0) {
          throw serviceError(
            'ElasticLoadBalancingV2.TargetGroupNotFoundException',
            `Target groups '${TargetGroupArn}' not found`,
          );
        }
        return {
          TargetHealthDescriptions: services.flatMap((service) =>
            Array.from({ length: tasks.count(service).running }, (_, at) => ({
              Target: { Id: `${service.service}-${at}`, Port: 80 },
              HealthCheckPort: '80',
              TargetHealth: { State: service.targetHealth },
            })),
          ),
        };
      },
    ),
  ]);
}
