import { z } from 'zod';
import { ecsName, taskRoleArn } from './aws-names.ts';
import { fields } from './configuration-error.ts';
import { functionPendingSchema, taskPendingSchema } from './pending-config.ts';

/** These values are part of the state machine's definition, which many people may read. */
const plainVariables = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must consist of letters, digits and _, and start with a letter or _'),
  z
    .string()
    .refine(
      (value) => !/\/\/[^/@\s]*:[^/@\s]+@/.test(value),
      'must not contain a password, because the value is visible in the definition of the state machine: use "secrets" of the task definition',
    ),
);

const timeoutMinutes = z.number().positive();

/** Limit of RunTask for overrides, in characters. */
const MAX_OVERRIDES = 8_192;

const ecsTaskFields = fields({
  runner: z.literal('ecs-task'),
  /** Name of the ECS cluster. */
  cluster: ecsName,
  /** A family, of which the latest revision is run; FAMILY:REVISION; or the complete ARN of a revision. */
  taskDefinition: z
    .string()
    .regex(
      /^(arn:[\w-]+:ecs:[\w-]+:\d{12}:task-definition\/)?[A-Za-z0-9_-]{1,255}(:\d+)?$/,
      'must be a family, FAMILY:REVISION, or the complete ARN of a revision',
    )
    .refine(
      (value) => !value.startsWith('arn:') || /:\d+$/.test(value),
      'must have the revision at the end of the ARN; for the latest revision, enter the family only',
    ),
  /** The container that runs the migrations. */
  container: ecsName,
  /** @default the command of the task definition or of the image */
  command: z.array(z.string()).min(1).optional(),
  /** Additional variables of the container, without secrets. */
  environment: plainVariables.default({}),
  launchType: z.enum(['FARGATE', 'EC2']).default('FARGATE'),
  /** Required for a task definition with the network mode awsvpc, therefore always for FARGATE. */
  network: fields({
    subnetIds: z.array(z.string().startsWith('subnet-')).min(1),
    securityGroupIds: z.array(z.string().startsWith('sg-')).min(1),
    /** Required to pull the image in a public subnet. @default false */
    assignPublicIp: z.boolean().default(false),
  }).optional(),
  /** The roles in the task definition. Step Functions may pass these roles to ECS, and no others. */
  roles: fields({ task: taskRoleArn, execution: taskRoleArn }),
  /** Time limit of the task, in minutes. */
  timeoutMinutes: timeoutMinutes.max(2_880, 'must be at most 2880, which is two days').default(60),
  /** The container's awslogs options. A failure then reports the address of the log. */
  logs: fields({ group: z.string().min(1), streamPrefix: z.string().min(1) }).optional(),
  /** How a deploy knows what is pending. @default it does not: every deploy runs the task */
  pending: taskPendingSchema.optional(),
});

const ecsTaskSchema = ecsTaskFields
  .refine(({ launchType, network }) => launchType !== 'FARGATE' || network !== undefined, {
    path: ['network'],
    message: 'is required for FARGATE: enter subnetIds and securityGroupIds of the task',
  })
  .refine(({ launchType, network }) => launchType !== 'EC2' || network?.assignPublicIp !== true, {
    path: ['network', 'assignPublicIp'],
    message: 'must not be true for EC2',
  })
  .refine(({ command, environment }) => JSON.stringify({ command, environment }).length <= MAX_OVERRIDES, {
    path: ['command'],
    message: `must have at most ${MAX_OVERRIDES} characters together with environment`,
  })
  .refine(
    ({ command, environment, pending }) =>
      isOther(pending?.command, command) &&
      JSON.stringify({ command: pending?.command, environment }).length <= MAX_OVERRIDES,
    {
      path: ['pending', 'command'],
      message: `must be another command than the one that runs the migrations, with at most ${MAX_OVERRIDES} characters together with environment`,
    },
  );

/** Whether the runner can tell being asked from having to migrate. */
function isOther(asked: unknown, run: unknown): boolean {
  return asked === undefined || JSON.stringify(asked) !== JSON.stringify(run);
}

/** Step Functions treats a key that ends in .$ as a JSONPath. */
function hasPathKeys(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => key.endsWith('.$') || hasPathKeys(inner));
}

/** Whether PostgreSQL reads the text as a bigint. A number of JSON would lose digits. */
function isBigint(text: string): boolean {
  return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}

const lambdaFields = fields({
  runner: z.literal('lambda'),
  /** Name or ARN of the function, optionally with :ALIAS or :VERSION. */
  function: z
    .string()
    .regex(
      /^(arn:[\w-]+:lambda:[\w-]+:\d{12}:function:)?[A-Za-z0-9_-]{1,64}(:([A-Za-z0-9_-]+|\$LATEST))?$/,
      'must be the name or the ARN of a function, optionally with :ALIAS or :VERSION',
    ),
  /** Passed to the function unchanged. */
  payload: z
    .record(z.string(), z.json())
    .refine(
      (payload) => !hasPathKeys(payload),
      'must not contain a key that ends in .$, because Step Functions would replace its value',
    )
    .default({}),
  /** Key of the advisory lock that the function holds while it migrates, as text. */
  advisoryLock: z
    .string()
    .refine(
      isBigint,
      'must be the key of an advisory lock as text: an integer of 64 bits, such as "72707369"',
    )
    .optional(),
  /** Time limit of the function, in minutes. */
  timeoutMinutes: timeoutMinutes
    .max(15, 'must be at most 15, the time limit of Lambda: for longer migrations, use the runner ecs-task')
    .default(15),
  /** How a deploy knows what is pending. @default it does not: every deploy invokes the function */
  pending: functionPendingSchema.optional(),
});

const lambdaSchema = lambdaFields
  .refine(({ payload, pending }) => isOther(pending?.payload, payload), {
    path: ['pending', 'payload'],
    message: 'must be another payload than the one with which the function migrates',
  })
  .refine(({ pending }) => !hasPathKeys(pending?.payload), {
    path: ['pending', 'payload'],
    message: 'must not contain a key that ends in .$, because Step Functions would replace its value',
  });

const sqlSchema = fields({
  runner: z.literal('sql'),
  /** Folder with SQL files, relative to the project. */
  directory: z.string().min(1).default('database/migrations'),
  /** How long a statement waits for a lock, in seconds. Meanwhile all later requests for the lock wait behind it. */
  lockTimeoutSeconds: z
    .int()
    .min(
      3,
      'must be at least 3, because PostgreSQL cancels an autovacuum that blocks a lock only after deadlock_timeout',
    )
    .max(600, 'must be at most 600, because the migrations have to fit into one Lambda invocation')
    .default(30),
  /** Attempts to run the whole transaction, including the first one. */
  attempts: z.int().min(1).max(100).default(10),
});

const noneSchema = fields({ runner: z.literal('none') });

const RUNNERS = 'one of sql, ecs-task, lambda, none';

const runnerSchema = z.discriminatedUnion('runner', [sqlSchema, ecsTaskSchema, lambdaSchema, noneSchema], {
  error: (issue) =>
    typeof issue.input !== 'object' || issue.input === null
      ? `must be a folder with SQL files, "none", or an object with a runner: ${RUNNERS}`
      : `must be ${RUNNERS}`,
});

export type Migrations = z.output<typeof runnerSchema>;
export type SqlMigrations = Extract<Migrations, { runner: 'sql' }>;
export type EcsTaskMigrations = Extract<Migrations, { runner: 'ecs-task' }>;
export type LambdaMigrations = Extract<Migrations, { runner: 'lambda' }>;

/** A folder stands for the runner sql, "none" for the runner none. */
function withRunner(value: unknown): unknown {
  if (typeof value !== 'string' || value === '') return value;
  return value === 'none' ? { runner: 'none' } : { runner: 'sql', directory: value };
}

// The input type is written out, because the input type of z.preprocess is unknown.
export const migrationsSchema = z.preprocess(withRunner, runnerSchema) as unknown as z.ZodType<
  Migrations,
  string | z.input<typeof runnerSchema>
>;

/** The limits of the runner sql, and their defaults for the other runners, which do not use them. */
export function sqlLimits(migrations: Migrations): Pick<SqlMigrations, 'lockTimeoutSeconds' | 'attempts'> {
  return migrations.runner === 'sql' ? migrations : sqlSchema.parse({ runner: 'sql' });
}
