import { z } from 'zod';

/*
 * How migrations are run. The older forms, a folder or "none" as plain text, stand for the runners sql and none.
 */

const ecsName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,255}$/, 'letters, digits, - and _ only: the name, not its ARN');

const roleArn = z
  .string()
  .regex(
    /^(none|arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+)$/,
    'must be the ARN of the role that the task definition names, or "none" where it names none',
  );

/** What a task or a function is told is kept in the state machine's definition, where many may read it. */
const plainEnvironment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'letters, digits and _ only, beginning with a letter or _'),
  z
    .string()
    .refine(
      (value) => !/\/\/[^/@\s]*:[^/@\s]+@/.test(value),
      'holds a password, and the definition of a state machine is no place for one: put it into "secrets" of the task definition',
    ),
);

const timeoutMinutes = z.number().positive();

/** RunTask takes overrides of at most 8,192 characters. */
const LONGEST_OVERRIDES = 8_192;

const ecsTaskFields = z.strictObject({
  runner: z.literal('ecs-task'),
  /** Name of the ECS cluster. */
  cluster: ecsName,
  /** Family, whose latest revision is run; FAMILY:REVISION; or the complete ARN of a revision. */
  taskDefinition: z
    .string()
    .regex(
      /^(arn:[\w-]+:ecs:[\w-]+:\d{12}:task-definition\/)?[A-Za-z0-9_-]{1,255}(:\d+)?$/,
      'must be a family, FAMILY:REVISION, or the complete ARN of a revision',
    )
    .refine(
      (value) => !value.startsWith('arn:') || /:\d+$/.test(value),
      'an ARN needs its revision at the end; give the family alone for the latest one',
    ),
  /** The container whose command migrates. */
  container: ecsName,
  /** @default the command of the task definition or the image */
  command: z.array(z.string()).min(1).optional(),
  /** More variables of the container; nothing secret. */
  environment: plainEnvironment.default({}),
  launchType: z.enum(['FARGATE', 'EC2']).default('FARGATE'),
  /** Needed for a task definition with the network mode awsvpc, so always for FARGATE. */
  network: z
    .strictObject({
      subnetIds: z.array(z.string().startsWith('subnet-')).min(1),
      securityGroupIds: z.array(z.string().startsWith('sg-')).min(1),
      /** Needed in a public subnet to pull the image. */
      assignPublicIp: z.boolean().default(false),
    })
    .optional(),
  /** The roles that the task definition names, which Step Functions has to hand on: these and no others. */
  roles: z.strictObject({ task: roleArn, execution: roleArn }),
  /** Deadline of the task, in minutes. */
  timeoutMinutes: timeoutMinutes.max(2_880, 'at most 2880, two days').default(60),
  /** Where awslogs of the container writes to, so that a failure tells the address of its log. */
  logs: z.strictObject({ group: z.string().min(1), streamPrefix: z.string().min(1) }).optional(),
});

const ecsTaskSchema = ecsTaskFields
  .refine(({ launchType, network }) => launchType !== 'FARGATE' || network !== undefined, {
    path: ['network'],
    message: 'is needed for FARGATE: subnetIds and securityGroupIds of the task',
  })
  .refine(({ launchType, network }) => launchType !== 'EC2' || network?.assignPublicIp !== true, {
    path: ['network', 'assignPublicIp'],
    message: 'cannot be true for EC2',
  })
  .refine(
    ({ command, environment }) => JSON.stringify({ command, environment }).length <= LONGEST_OVERRIDES,
    {
      path: ['command'],
      message: `takes more than ${LONGEST_OVERRIDES} characters together with environment`,
    },
  );

/** Keys that end in .$ are paths to Step Functions. */
function hasPathKeys(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => key.endsWith('.$') || hasPathKeys(inner));
}

const lambdaSchema = z.strictObject({
  runner: z.literal('lambda'),
  /** Name or ARN of the function, with its alias or version if it has one. */
  function: z
    .string()
    .regex(
      /^(arn:[\w-]+:lambda:[\w-]+:\d{12}:function:)?[A-Za-z0-9_-]{1,64}(:([A-Za-z0-9_-]+|\$LATEST))?$/,
      'must be the name or the ARN of a function, with :ALIAS or :VERSION behind it if one is meant',
    ),
  /** Handed to the function as it is. */
  payload: z
    .record(z.string(), z.json())
    .refine(
      (payload) => !hasPathKeys(payload),
      'has a key that ends in .$, which Step Functions takes for a path',
    )
    .default({}),
  /** Deadline of the function, in minutes. */
  timeoutMinutes: timeoutMinutes
    .max(15, 'at most 15, as long as a Lambda function may run: take the runner ecs-task for more')
    .default(15),
});

const sqlSchema = z.strictObject({
  runner: z.literal('sql'),
  /** Folder with SQL files, relative to the project. */
  directory: z.string().min(1).default('database/migrations'),
});

const noneSchema = z.strictObject({ runner: z.literal('none') });

const RUNNERS = 'one of sql, ecs-task, lambda, none';

const runnerSchema = z.discriminatedUnion('runner', [sqlSchema, ecsTaskSchema, lambdaSchema, noneSchema], {
  error: (issue) =>
    typeof issue.input !== 'object' || issue.input === null
      ? `must be a folder with SQL files, "none", or an object whose runner is ${RUNNERS}`
      : `must be ${RUNNERS}`,
});

export type Migrations = z.output<typeof runnerSchema>;
export type EcsTaskMigrations = Extract<Migrations, { runner: 'ecs-task' }>;
export type LambdaMigrations = Extract<Migrations, { runner: 'lambda' }>;

function named(value: unknown): unknown {
  if (typeof value !== 'string' || value === '') return value;
  return value === 'none' ? { runner: 'none' } : { runner: 'sql', directory: value };
}

// What `named` takes is said by hand: a preprocessed schema takes anything as far as its type tells.
export const migrationsSchema = z.preprocess(named, runnerSchema) as unknown as z.ZodType<
  Migrations,
  string | z.input<typeof runnerSchema>
>;
