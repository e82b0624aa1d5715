import { z } from 'zod';
import { WINDOW_POLICIES } from '../../lambdas/shared/online-migrations.ts';
import { kmsKeyArn, regionName, topicArn } from './aws-names.ts';
import { ConfigurationError, fields, parseContext } from './configuration-error.ts';
import { databaseSchema } from './database-config.ts';
import { logsSchema } from './logs-config.ts';
import { migrationsSchema } from './migrations-config.ts';
import { LONGEST_STACK_NAME, resourceNamesOf } from './resource-names.ts';
import { servicesSchema } from './services-config.ts';
import { stackSchema } from './stack-config.ts';

const networkSchema = fields({
  vpcId: z.string().startsWith('vpc-'),
  /** The availability zone of each subnet: as many as `subnetIds`, in the same order. */
  availabilityZones: z.array(z.string()).min(1),
  /** Subnets with a route to the database, Secrets Manager, Step Functions and CloudWatch (NAT or endpoints). */
  subnetIds: z.array(z.string().startsWith('subnet-')).min(1),
  securityGroupIds: z.array(z.string().startsWith('sg-')).min(1),
}).refine((network) => network.availabilityZones.length === network.subnetIds.length, {
  path: ['availabilityZones'],
  message: 'must have one entry for each entry of subnetIds, in the same order',
});

const buildsSchema = fields({
  /** Maximum number of tables with a build at the same time. */
  maxConcurrent: z.int().min(1).max(40).default(4),
  /** How long an attempt waits for the lock of the table, in seconds. */
  lockTimeoutSeconds: z
    .int()
    .min(
      3,
      'must be at least 3, because PostgreSQL cancels an autovacuum that blocks a lock only after deadlock_timeout',
    )
    .max(600, 'must be at most 600, because the attempt has to fit into one Lambda invocation')
    .default(300),
  /** Attempts for each index, including the first one. */
  attempts: z.int().min(1).max(100).default(10),
  /** Longest pause between two attempts, in seconds. */
  maxPauseSeconds: z.int().min(1).max(300).default(300),
  /** How long Build Index waits for its statement before it detaches from the build, in seconds. */
  waitSeconds: z.int().min(1).max(180).default(60),
  /** Maximum number of builds in one execution of build-indexes. The next execution builds the rest. */
  perRound: z.int().min(1).max(500).default(500),
  /** Terminates sessions that block a build while they are idle in a transaction. @default no session is terminated */
  terminateBlockers: fields({
    /** How long a session must have been idle in its transaction, in seconds. */
    idleInTransactionSeconds: z.int().min(1),
  }).optional(),
  /** Whether non-critical indexes are built before the services start, or online afterwards. */
  when: z.enum(['before-start', 'after-start']).default('before-start'),
  /** How long no query must have scanned a retired index before a deploy drops it, in days. */
  retiredAfterDays: z.number().min(0).max(3650).default(14),
});

/*
 * One execution stops all services and then waits for their sessions; one execution starts all services. The history of an
 * execution has at most 25,000 events. Each check adds 11 of them: a call, a choice, a pause and a count. (A check of
 * target groups adds more. Then the execution that starts the services makes longer pauses.)
 */
const EVENTS_PER_CHECK = 11;
/** An ECS deployment takes minutes, so its checks have longer pauses: this many times `pollSeconds`. */
export const DEPLOYMENT_POLLS = 3;
const MAX_CHECK_EVENTS = 18_000;

export const environmentSchema = fields({
  /** @default the account of the credentials at deploy time */
  account: z
    .string()
    .regex(/^\d{12}$/, 'must have 12 digits')
    .optional(),
  /** @default the region of the credentials at deploy time */
  region: regionName.optional(),
  /** @default the functions run outside of a VPC */
  network: networkSchema.optional(),
  database: databaseSchema,
  /** Folder with SQL migrations, relative to the project; "none"; or an object with a `runner`. */
  migrations: migrationsSchema.prefault('database/migrations'),
  /** File of the registry, relative to the project: .ts, .js, .mjs, .cjs or .json. */
  indexes: z.string().min(1).default('database/indexes.ts'),
  services: servicesSchema.default([]),
  builds: buildsSchema.prefault({}),
  /** Whether the services start after a failed migration. SQL files that fail are rolled back completely. */
  onMigrationFailure: z.enum(['start', 'leave-stopped']).default('start'),
  /** Whether the services start after the build of a critical index has failed. */
  onCriticalFailure: z.enum(['leave-stopped', 'start']).default('leave-stopped'),
  /** How long a service that is in the middle of an ECS deployment is waited for, in minutes. 0: it is refused at once. */
  deploymentMinutes: z.number().min(0).max(120).default(15),
  /** Deadline for a service to stop, in minutes. */
  stopMinutes: z.number().positive().max(120).default(10),
  /** Deadline for a service to be steady, in minutes. */
  startMinutes: z.number().positive().max(120).default(15),
  /**
   * How long a deploy with the input `"start": "hold"` leaves the services stopped at most, in minutes. Then the recovery starts them.
   */
  holdMinutes: z.number().min(1).max(1_440).default(30),
  /** How many checks in a row must find a started service as it was before the deploy. */
  steadyChecks: z.int().min(1).max(60).default(3),
  /**
   * How long non-critical builds may keep the services stopped, in minutes after the first stop. Then they continue
   * online. The deploy waits for critical builds in any case. @default without limit
   */
  windowMinutes: z.number().positive().max(10_000).optional(),
  /**
   * When a deploy stops the services. `always`: for all work. `when-needed`: not for files that are marked as online, nor for
   * index builds. `never`: files that are not marked are refused.
   */
  window: z.enum(WINDOW_POLICIES).default('always'),
  /** Database sessions of the application that must be closed before the migrations. @default no session is checked */
  drain: fields({
    /** Database roles of the application. */
    roles: z.array(z.string().min(1)).default([]),
    /** Patterns of application_name, in the syntax of LIKE. */
    applicationNames: z.array(z.string().min(1)).default([]),
    /** Deadline for the sessions to close after the services have stopped, in seconds. */
    seconds: z.int().min(1).max(3_600).default(60),
  })
    .refine(
      (drain) => drain.roles.length + drain.applicationNames.length > 0,
      'must have at least one entry in roles or applicationNames',
    )
    .optional(),
  /** Pause between two checks of a service or of the sessions, in seconds. */
  pollSeconds: z.int().min(1).max(60).default(10),
  /** The logs of the functions and the state machines in CloudWatch. */
  logs: logsSchema.prefault({}),
  alerts: fields({
    /** Email addresses to subscribe to the topic. */
    emails: z.array(z.email()).default([]),
    /** ARN of an existing topic, which gets the alerts and the alarms. @default a new topic */
    topicArn: topicArn.optional(),
    /** ARN of the customer-managed KMS key of the topic. @default the key of SNS; with `alarms`, a new topic gets a new key */
    kmsKeyArn: kmsKeyArn.optional(),
  })
    .refine(({ topicArn: existing, emails }) => existing === undefined || emails.length === 0, {
      path: ['emails'],
      message: 'must be empty with topicArn: subscribe the addresses to that topic yourself',
    })
    .prefault({}),
  /** Whether CloudWatch alarms report failed executions and functions. */
  alarms: z.boolean().default(false),
  /** With `alarms`: how long services may be stopped until an alarm reports it, in minutes. */
  stoppedMinutes: z
    .int()
    .min(10, 'must be at least 10, because stopped services are counted every 10 minutes')
    .max(1_430, 'must be at most 1430, because an alarm of CloudWatch evaluates one day at most')
    .default(60),
  /** Options of the stack as a whole. */
  stack: stackSchema.prefault({}),
})
  .refine(
    ({ region, logs }) => region === undefined || (logs.kmsKeyArn?.split(':')[3] ?? region) === region,
    {
      path: ['logs', 'kmsKeyArn'],
      message:
        'must be a key in the region of the environment, because CloudWatch Logs uses no key of another region',
    },
  )
  .refine(({ window, migrations }) => window !== 'never' || ['sql', 'none'].includes(migrations.runner), {
    path: ['window'],
    message:
      'must not be "never" with the runner ecs-task or lambda, because its migrations run in a maintenance window only: enter "when-needed" or "always", or use the runner sql or none',
  })
  .refine(
    ({ services, deploymentMinutes, stopMinutes, startMinutes, drain, pollSeconds }) => {
      const checks = (seconds: number) => Math.ceil(seconds / pollSeconds);
      const stopping =
        services.length * (checks((deploymentMinutes * 60) / DEPLOYMENT_POLLS) + checks(stopMinutes * 60)) +
        checks(drain?.seconds ?? 0);
      const starting = services.length * checks(startMinutes * 60);
      return Math.max(stopping, starting) * EVENTS_PER_CHECK <= MAX_CHECK_EVENTS;
    },
    {
      path: ['pollSeconds'],
      message:
        'too many checks for the history of one execution: increase pollSeconds, or decrease deploymentMinutes, stopMinutes, startMinutes or drain.seconds',
    },
  );

/** One environment of cdk.json, from which one stack `pg-deploy-step-NAME` is made. */
export type Environment = z.output<typeof environmentSchema>;
/** An environment as written in cdk.json, where fields with a default may be omitted. */
export type EnvironmentInput = z.input<typeof environmentSchema>;

/** Limit of the name of an environment, in characters. */
export const LONGEST_ENVIRONMENT_NAME = 31;

const environmentNameSchema = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,30}$/,
    `must consist of lower-case letters, digits and -, start with a letter and have at most ${LONGEST_ENVIRONMENT_NAME} characters`,
  );

const environmentsSchema = z
  .record(environmentNameSchema, environmentSchema)
  .superRefine((environments, context) => {
    for (const [name, { stack }] of Object.entries(environments)) {
      const tooLong = resourceNamesOf(name, stack.namePrefix).stack.length - LONGEST_STACK_NAME;
      if (stack.namePrefix === undefined || tooLong <= 0) continue;
      context.addIssue({
        code: 'custom',
        path: [name, 'stack', 'namePrefix'],
        message: `must have at most ${Math.max(stack.namePrefix.length - tooLong, 0)} characters for this environment, because the names of functions consist of prefix, environment and function, and have at most 64`,
      });
    }
  });

/**
 * Checks the options of one environment that a construct gets.
 * @param construct its path, for the message
 * @throws ConfigurationError with the path of every wrong value and what is valid there
 */
export function parseEnvironment(construct: string, name: string, raw: EnvironmentInput): Environment {
  const wording = {
    introduction: `The properties of ${construct} are not valid:`,
    // The property `database` is the cluster or the instance itself.
    names: { database: 'databaseOptions' },
  };
  // The name is checked together with the prefix.
  parseContext('environmentName', environmentNameSchema, name, wording);
  const environment = parseContext('', environmentSchema, raw, wording);
  parseContext('', environmentsSchema, { [name]: raw }, wording);
  return environment;
}

/**
 * Checks the context `environments` of cdk.json.
 * @throws ConfigurationError with the path of every wrong value and what is valid there
 */
export function parseEnvironments(raw: unknown): Record<string, Environment> {
  if (raw === undefined) {
    throw new ConfigurationError(
      'cdk.json has no context "environments". Add it, with one object for each environment.',
    );
  }
  return parseContext('environments', environmentsSchema, raw);
}
