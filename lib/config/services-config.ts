import { z } from 'zod';
import {
  ecsName,
  eventBusName,
  kmsKeyArn,
  lambdaFunctionArn,
  roleArn,
  ruleName,
  scheduleName,
  taskRoleArn,
} from './aws-names.ts';
import { fields } from './configuration-error.ts';

/** Part of the names of SSM parameters. */
const serviceName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]*$/,
    'must consist of letters, digits, - and _, and start with a letter or a digit',
  );

export const ecsServiceSchema = fields({
  kind: z.literal('ecs').default('ecs'),
  /** Name in reports and alerts. */
  name: serviceName,
  /** Name of the ECS cluster. */
  cluster: ecsName,
  /** Name of the ECS service. */
  service: ecsName,
  /** Whether the service has Application Auto Scaling, which has to be suspended. @default false */
  scaling: z.boolean().default(false),
  /**
   * The roles in its task definitions. A deploy may pass these to ECS, and no others, with a revision in `taskDefinitions` of its input.
   * @default no deploy can change the revision of the service
   */
  roles: fields({ task: taskRoleArn, execution: taskRoleArn }).optional(),
});
export type EcsService = z.output<typeof ecsServiceSchema>;

const eventRuleSchema = fields({
  kind: z.literal('event-rule'),
  /** Name in reports and alerts. */
  name: serviceName,
  /** Name of the EventBridge rule. */
  rule: ruleName,
  /** @default the default event bus */
  eventBus: eventBusName.default('default'),
});
export type EventRule = z.output<typeof eventRuleSchema>;

const eventSourceMappingSchema = fields({
  kind: z.literal('event-source-mapping'),
  /** Name in reports and alerts. */
  name: serviceName,
  /** UUID of the mapping between a queue or stream and the Lambda function that consumes it. */
  uuid: z.uuid(),
});
export type EventSourceMapping = z.output<typeof eventSourceMappingSchema>;

const scheduleSchema = fields({
  kind: z.literal('schedule'),
  /** Name in reports and alerts. */
  name: serviceName,
  /** Name of the schedule of EventBridge Scheduler. */
  schedule: scheduleName,
  /** Group of the schedule. @default the default group */
  group: scheduleName.default('default'),
  /** ARN of the role with which the schedule invokes its target. Every change of a schedule passes this role again. */
  role: roleArn,
  /** ARN of the customer-managed KMS key that encrypts the schedule. @default none */
  key: kmsKeyArn.optional(),
});
export type Schedule = z.output<typeof scheduleSchema>;

const customServiceSchema = fields({
  kind: z.literal('custom'),
  /** Name in reports and alerts. */
  name: serviceName,
  /** ARN of the Lambda function that checks, stops and starts the service. */
  function: lambdaFunctionArn,
});
export type CustomService = z.output<typeof customServiceSchema>;

const serviceSchema = z.discriminatedUnion(
  'kind',
  [ecsServiceSchema, eventRuleSchema, eventSourceMappingSchema, scheduleSchema, customServiceSchema],
  { error: 'must be one of ecs, event-rule, event-source-mapping, schedule, custom' },
);
export type Service = z.output<typeof serviceSchema>;

/** Identifies the resource in AWS, whatever its `name` is. It is a part of the saved state. */
export function resourceKey(service: Service): string {
  switch (service.kind) {
    case 'ecs':
      return `ecs/${service.cluster}/${service.service}`;
    case 'event-rule':
      return `event-rule/${service.eventBus}/${service.rule}`;
    case 'event-source-mapping':
      return `event-source-mapping/${service.uuid}`;
    case 'schedule':
      return `schedule/${service.group}/${service.schedule}`;
    case 'custom':
      return `custom/${service.function}`;
  }
}

/** The resource in AWS, for messages. */
function describeResource(service: Service): string {
  switch (service.kind) {
    case 'ecs':
      return `the service "${service.service}" of the cluster "${service.cluster}"`;
    case 'event-rule':
      return `the rule "${service.rule}" of the bus "${service.eventBus}"`;
    case 'event-source-mapping':
      return `the mapping "${service.uuid}"`;
    case 'schedule':
      return `the schedule "${service.schedule}" of the group "${service.group}"`;
    case 'custom':
      return `the function "${service.function}"`;
  }
}

/**
 * Each name and each resource only once. Two services with the same name would share one saved state. A resource that is
 * stopped twice would have the desired count 0 in its second saved state.
 */
export const servicesSchema = z.array(serviceSchema).superRefine((services, context) => {
  services.forEach((service, at) => {
    const before = services.slice(0, at);
    if (before.some((other) => other.name === service.name)) {
      context.addIssue({
        code: 'custom',
        path: [at, 'name'],
        message: `must be unique, but another service is named "${service.name}" too`,
      });
    }
    if (before.some((other) => resourceKey(other) === resourceKey(service))) {
      context.addIssue({
        code: 'custom',
        path: [at],
        message: `${describeResource(service)} is already in the list: remove one of the two entries`,
      });
    }
  });
});
