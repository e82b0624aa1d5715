import { MIGRATION_RUNNERS } from './migration-runner.ts';
import * as z from './zod.ts';

/*
 * The variables of each function (its process environment). `lib/functions` sets them with the type of the schema, so that a
 * missing variable is a compile error, and the function checks them with the schema when it starts.
 */

/** A JSON list, so that a name can contain any character. */
const jsonList = z.pipe(
  z.string(),
  z.transform((text) => z.array(z.string()).parse(JSON.parse(text))),
);

const databaseVariables = {
  /** Secrets Manager secret in the format of RDS. Either this, DATABASE_IAM_USER or DATABASE_URL is set. */
  DATABASE_SECRET_ARN: z.optional(z.string()),
  /** Database role to which the function logs in with IAM. Then DATABASE_HOST and DATABASE_NAME are set too. */
  DATABASE_IAM_USER: z.optional(z.string()),
  /** postgres:// address, for use without Secrets Manager. */
  DATABASE_URL: z.optional(z.string()),
  /** These override the secret's fields. */
  DATABASE_NAME: z.optional(z.string()),
  DATABASE_HOST: z.optional(z.string()),
  DATABASE_PORT: z.optional(z.string()),
  /** File beside the code: the certificates of authorities that are trusted beside those of Node.js. Unset: none. */
  RDS_CERTIFICATES_FILE: z.optional(z.string()),
  /** File beside the code: the certificates of the only authorities that are trusted. */
  DATABASE_CA_FILE: z.optional(z.string()),
  /** The name in the server's certificate. Unset: the host. */
  DATABASE_SERVER_NAME: z.optional(z.string()),
  /** Names of the roles that the configuration trusts: see trusted-roles.ts. Unset: none. */
  TRUSTED_ROLES: z.optional(jsonList),
  /** Schemas in which names of definitions and migrations are looked up: see search-path.ts. Unset: as for the role. */
  SEARCH_PATH: z.optional(jsonList),
  /** Errors contain values of rows: see row-values.ts. @default they do not */
  SHOW_ROW_VALUES: z.optional(z.enum(['true', 'false'])),
};

const hasDatabase = (variables: {
  DATABASE_SECRET_ARN?: string | undefined;
  DATABASE_IAM_USER?: string | undefined;
  DATABASE_URL?: string | undefined;
}) => (variables.DATABASE_SECRET_ARN ?? variables.DATABASE_IAM_USER ?? variables.DATABASE_URL) !== undefined;
const hasDatabaseMessage = 'DATABASE_SECRET_ARN, DATABASE_IAM_USER or DATABASE_URL must be set';

const seconds = z.coerce.number().check(z.int(), z.minimum(0));

export const databaseVariablesSchema = z
  .object(databaseVariables)
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const preflightVariablesSchema = z
  .object({
    ...databaseVariables,
    MIGRATIONS: z.enum(MIGRATION_RUNNERS),
    /** The state machine whose running executions are checked. */
    DEPLOY_MACHINE_ARN: z.string(),
    /** How a person aborts a running deploy, for a message. */
    HOW_TO_ABORT: z._default(z.string(), 'abort it in the Step Functions console'),
    /** Database roles of the application. Unset: none. */
    DRAIN_ROLES: z.optional(jsonList),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const sessionsVariablesSchema = z
  .object({ ...databaseVariables, DRAIN_ROLES: jsonList, DRAIN_APPLICATION_NAMES: jsonList })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const migrationsVariablesSchema = z
  .object({
    ...databaseVariables,
    LOCK_TIMEOUT_SECONDS: seconds,
    MIGRATION_ATTEMPTS: z.coerce.number().check(z.int(), z.minimum(1)),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const checkMigrationsVariablesSchema = z
  .object({
    ...databaseVariables,
    /** Key of the advisory lock that the application's function holds while it migrates. Unset: that of node-pg-migrate. */
    MIGRATION_LOCK: z.optional(z.string()),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const planVariablesSchema = z
  .object({
    ...databaseVariables,
    BUILDS_PER_ROUND: z.coerce.number().check(z.int(), z.minimum(1)),
    /** Batches at the same time. */
    MAX_CONCURRENT: z.coerce.number().check(z.int(), z.minimum(1)),
    /** Unset: the window lasts until its builds end. */
    WINDOW_MINUTES: z.optional(z.coerce.number().check(z.positive())),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

const lockVariables = {
  LOCK_TIMEOUT_SECONDS: seconds,
  /** Unset: no session is terminated. */
  TERMINATE_IDLE_IN_TRANSACTION_SECONDS: z.optional(seconds),
};

export const checkVariablesSchema = z
  .object({ ...databaseVariables, ...lockVariables })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const buildVariablesSchema = z
  .object({
    ...databaseVariables,
    ...lockVariables,
    BUILD_WAIT_SECONDS: seconds,
    LONG_WAIT_SECONDS: seconds,
    BUILD_ATTEMPTS: z.coerce.number().check(z.int(), z.minimum(1)),
    /** How long a batch begins further builds. */
    BATCH_SECONDS: seconds,
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const reportVariablesSchema = z
  .object({
    ...databaseVariables,
    MIGRATIONS: z.enum(MIGRATION_RUNNERS),
    ENVIRONMENT_NAME: z.string(),
    /** Names of the configured services, comma-separated; empty: none. */
    SERVICES: z.pipe(
      z.string(),
      z.transform((names) => names.split(',').filter((name) => name !== '')),
    ),
    START_SERVICES_MACHINE: z.string(),
    BUILD_INDEXES_MACHINE: z.string(),
    /** File for the report with all of its indexes. Only a run on your machine sets it. @default it is not saved */
    WHOLE_REPORT_FILE: z.optional(z.string()),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export type DatabaseVariables = z.output<typeof databaseVariablesSchema>;

/** The variables that `lib/functions` sets, all of them as text. */
export type Variables<Schema extends z.ZodMiniType> = { [Key in keyof z.input<Schema>]: string };

/**
 * Reads a function's variables.
 * @throws Error that names each missing or wrong variable, but not its value, which can be a secret
 */
export function readVariables<Schema extends z.ZodMiniType>(
  schema: Schema,
  source: NodeJS.ProcessEnv = process.env,
): z.output<Schema> {
  const parsed = schema.safeParse(source);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join('.') || 'database'}: ${issue.message}`,
  );
  throw new Error(`The function's environment variables are wrong. ${problems.join('; ')}`);
}
