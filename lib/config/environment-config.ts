import { z } from 'zod';
import { migrationsSchema } from './migrations-config.ts';

const networkSchema = z
  .strictObject({
    vpcId: z.string().startsWith('vpc-'),
    /** As many as `subnetIds`, in the same order. */
    availabilityZones: z.array(z.string()).min(1),
    /** Subnets that reach the database, Secrets Manager and CloudWatch (NAT or endpoints). */
    subnetIds: z.array(z.string().startsWith('subnet-')).min(1),
    securityGroupIds: z.array(z.string().startsWith('sg-')).min(1),
  })
  .refine((network) => network.availabilityZones.length === network.subnetIds.length, {
    path: ['availabilityZones'],
    message: 'must name the zone of each subnet: as many as subnetIds, in the same order',
  });

const databaseSchema = z.strictObject({
  /** Complete ARN of the secret, in the form that RDS writes: host, port, username, password, dbname. */
  secretArn: z
    .string()
    .regex(
      /^arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:.+-\w{6}$/,
      'must be the complete ARN of a secret, with the six characters at its end',
    ),
  /** ARN of the secret's customer-managed KMS key. @default the AWS managed key */
  secretKeyArn: z.string().startsWith('arn:').optional(),
  /** Database to connect to. @default the secret's dbname */
  name: z.string().optional(),
  /** @default the secret's host */
  host: z.string().optional(),
  /** @default the secret's port, else 5432 */
  port: z.int().min(1).max(65_535).optional(),
});

/** SSM parameter paths and state names are made from it, so it is kept plain. */
const serviceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/, 'letters, digits, - and _ only');

export const ecsServiceSchema = z.strictObject({
  kind: z.literal('ecs').default('ecs'),
  /** What reports and alerts call it. */
  name: serviceName,
  /** Name of the ECS cluster. */
  cluster: z.string().min(1),
  /** Name of the ECS service. */
  service: z.string().min(1),
  /** Application Auto Scaling is registered for it and has to be suspended. @default false */
  scaling: z.boolean().default(false),
});
export type EcsService = z.output<typeof ecsServiceSchema>;

export const eventRuleSchema = z.strictObject({
  kind: z.literal('event-rule'),
  name: serviceName,
  /** Name of the EventBridge rule. */
  rule: z.string().min(1),
  /** @default the default event bus */
  eventBus: z.string().min(1).default('default'),
});
export type EventRule = z.output<typeof eventRuleSchema>;

export const eventSourceMappingSchema = z.strictObject({
  kind: z.literal('event-source-mapping'),
  name: serviceName,
  /** Identifier of the mapping between a queue or stream and the Lambda function that consumes it. */
  uuid: z.uuid(),
});
export type EventSourceMapping = z.output<typeof eventSourceMappingSchema>;

const serviceSchema = z.discriminatedUnion(
  'kind',
  [ecsServiceSchema, eventRuleSchema, eventSourceMappingSchema],
  {
    error: 'must be one of ecs, event-rule, event-source-mapping',
  },
);
export type Service = z.output<typeof serviceSchema>;

/** What a service is in AWS, whatever it is called here. */
function resourceOf(service: Service): string {
  switch (service.kind) {
    case 'ecs':
      return `the service "${service.service}" of the cluster "${service.cluster}"`;
    case 'event-rule':
      return `the rule "${service.rule}" of the bus "${service.eventBus}"`;
    case 'event-source-mapping':
      return `the mapping "${service.uuid}"`;
  }
}

/**
 * Each service once: two entries of one name share the parameter that remembers it, and what is stopped twice has the 0 of
 * the first stop remembered as its count.
 */
const servicesSchema = z.array(serviceSchema).superRefine((services, context) => {
  services.forEach((service, at) => {
    const before = services.slice(0, at);
    if (before.some((other) => other.name === service.name)) {
      context.addIssue({
        code: 'custom',
        path: [at, 'name'],
        message: `"${service.name}" is the name of another service too, give each its own`,
      });
    }
    if (before.some((other) => resourceOf(other) === resourceOf(service))) {
      context.addIssue({
        code: 'custom',
        path: [at],
        message: `${resourceOf(service)} is listed before, list it once`,
      });
    }
  });
});

const buildsSchema = z.strictObject({
  /** Tables that are built on at the same time. */
  maxConcurrent: z.int().min(1).max(40).default(4),
  /** How long one attempt waits for the table's lock, in seconds. */
  lockTimeoutSeconds: z
    .int()
    .min(3, 'at least 3: below deadlock_timeout a lock request never evicts autovacuum')
    .max(600, 'at most 600: the attempt must fit into one Lambda invocation')
    .default(300),
  /** Attempts an index has, the first one included. */
  attempts: z.int().min(1).max(100).default(10),
  /** Longest pause between two attempts, in seconds. */
  maxPauseSeconds: z.int().min(1).max(300).default(300),
  /** How long Build Index waits for its own statement before it lets go of it, in seconds. */
  waitSeconds: z.int().min(1).max(180).default(60),
  /** Builds that one execution of build-indexes takes on; the next execution takes the rest. */
  perRound: z.int().min(1).max(500).default(500),
  /** Ends sessions that hold a build up while they idle in a transaction. @default none is ever ended */
  terminateBlockers: z
    .strictObject({
      /** How long they must have been idle in their transaction, in seconds. */
      idleInTransactionSeconds: z.int().min(1),
    })
    .optional(),
  /** Non-critical indexes are built before the services start, or online afterwards. */
  when: z.enum(['before-start', 'after-start']).default('before-start'),
});

/*
 * All services stop in one execution, which then waits for their sessions, and start in one; an execution has 25,000 history
 * events. One look costs 11 of them: a call, a choice, a pause and a count.
 */
const EVENTS_A_LOOK = 11;
const MOST_LOOK_EVENTS = 18_000;

/** One environment of `cdk.json`: what one stack `pg-deploy-step-NAME` is made from. */
const environmentFields = z.strictObject({
  /** @default the account and region of the credentials at deploy time */
  account: z
    .string()
    .regex(/^\d{12}$/, 'twelve digits')
    .optional(),
  region: z.string().optional(),
  network: networkSchema.optional(),
  database: databaseSchema,
  /** Folder with SQL migrations, relative to the project; "none"; or an object that names its `runner`. */
  migrations: migrationsSchema.prefault('database/migrations'),
  /** The registry, relative to the project: a .ts or a .json file. */
  indexes: z.string().min(1).default('database/indexes.ts'),
  services: servicesSchema.default([]),
  builds: buildsSchema.prefault({}),
  /** What becomes of the services when a migration fails (of SQL files, nothing is applied then). */
  onMigrationFailure: z.enum(['start', 'leave-stopped']).default('start'),
  /** What becomes of the services when a critical index fails. */
  onCriticalFailure: z.enum(['leave-stopped', 'start']).default('leave-stopped'),
  /** Deadline for all services to be stopped, in minutes. */
  stopMinutes: z.number().positive().max(120).default(10),
  /** Deadline for all services to be steady again, in minutes. */
  startMinutes: z.number().positive().max(120).default(15),
  /**
   * How long builds may keep the services stopped, in minutes, from the first stop on: critical ones are waited for all the
   * same, the others go on online. @default as long as they take
   */
  windowMinutes: z.number().positive().max(10_000).optional(),
  /** Database sessions of the application that must be gone before anything is changed. @default none is waited for */
  drain: z
    .strictObject({
      /** Database roles of the application. */
      roles: z.array(z.string().min(1)).default([]),
      /** Patterns of application_name, as LIKE has them. */
      applicationNames: z.array(z.string().min(1)).default([]),
      /** How long they are waited for once the services are stopped, in seconds. */
      seconds: z.int().min(1).max(3_600).default(60),
    })
    .refine(
      (drain) => drain.roles.length + drain.applicationNames.length > 0,
      'name a role or a pattern of application_name',
    )
    .optional(),
  /** Pause between two looks at a service that stops or starts, in seconds. */
  pollSeconds: z.int().min(1).max(60).default(10),
  alerts: z
    .strictObject({
      /** Addresses that are subscribed to the topic. */
      emails: z.array(z.email()).default([]),
    })
    .prefault({}),
});

export const environmentSchema = environmentFields.refine(
  ({ services, stopMinutes, startMinutes, drain, pollSeconds }) => {
    const looks = (seconds: number) => Math.ceil(seconds / pollSeconds);
    const stopping = services.length * looks(stopMinutes * 60) + looks(drain?.seconds ?? 0);
    const starting = services.length * looks(startMinutes * 60);
    return Math.max(stopping, starting) * EVENTS_A_LOOK <= MOST_LOOK_EVENTS;
  },
  {
    path: ['pollSeconds'],
    message:
      'so many looks at so many services do not fit into one execution: look less often, or shorten stopMinutes, startMinutes and drain.seconds',
  },
);

export type Environment = z.output<typeof environmentSchema>;
/** As written in cdk.json: everything that has a default may be left out. */
export type EnvironmentInput = z.input<typeof environmentSchema>;

export const environmentsSchema = z.record(
  z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'lower-case letters, digits and -, starting with a letter'),
  environmentSchema,
);
