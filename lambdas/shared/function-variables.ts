import * as z from 'zod';
import { MIGRATION_RUNNERS } from './migration-runner.ts';

/*
 * The variables of each function (its process environment). `lib/functions` sets them with the type of the schema, so that a
 * missing variable is a compile error, and the function checks them with the schema when it starts.
 */

/** A JSON list, so that a name can contain any character. */
const jsonList = z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text)));

const databaseVariables = {
  /** Secrets Manager secret in the format of RDS. Either this, DATABASE_IAM_USER or DATABASE_URL is set. */
  DATABASE_SECRET_ARN: z.string().optional(),
  /** Database role to which the function logs in with IAM. Then DATABASE_HOST and DATABASE_NAME are set too. */
  DATABASE_IAM_USER: z.string().optional(),
  /** postgres:// address, for use without Secrets Manager. */
  DATABASE_URL: z.string().optional(),
  /** These override the secret's fields. */
  DATABASE_NAME: z.string().optional(),
  DATABASE_HOST: z.string().optional(),
  DATABASE_PORT: z.string().optional(),
  /** File beside the code: the certificates of authorities that are trusted beside those of Node.js. Unset: none. */
  RDS_CERTIFICATES_FILE: z.string().optional(),
  /** File beside the code: the certificates of the only authorities that are trusted. */
  DATABASE_CA_FILE: z.string().optional(),
  /** The name in the server's certificate. Unset: the host. */
  DATABASE_SERVER_NAME: z.string().optional(),
  /** Names of the roles that the configuration trusts: see trusted-roles.ts. Unset: none. */
  TRUSTED_ROLES: jsonList.optional(),
  /** Schemas in which names of definitions and migrations are looked up: see search-path.ts. Unset: as for the role. */
  SEARCH_PATH: jsonList.optional(),
  /** Errors contain values of rows: see row-values.ts. @default they do not */
  SHOW_ROW_VALUES: z.enum(['true', 'false']).optional(),
};

const hasDatabase = (variables: {
  DATABASE_SECRET_ARN?: string | undefined;
  DATABASE_IAM_USER?: string | undefined;
  DATABASE_URL?: string | undefined;
}) => (variables.DATABASE_SECRET_ARN ?? variables.DATABASE_IAM_USER ?? variables.DATABASE_URL) !== undefined;
const hasDatabaseMessage = 'DATABASE_SECRET_ARN, DATABASE_IAM_USER or DATABASE_URL must be set';

const seconds = z.coerce.number().int().min(0);

export const databaseVariablesSchema = z.object(databaseVariables).refine(hasDatabase, hasDatabaseMessage);

export const preflightVariablesSchema = z
  .object({
    ...databaseVariables,
    MIGRATIONS: z.enum(MIGRATION_RUNNERS),
    /** The state machine whose running executions are checked. */
    DEPLOY_MACHINE_ARN: z.string(),
    /** How a person aborts a running deploy, for a message. */
    HOW_TO_ABORT: z.string().default('abort it in the Step Functions console'),
    /** Database roles of the application. Unset: none. */
    DRAIN_ROLES: jsonList.optional(),
  })
  .refine(hasDatabase, hasDatabaseMessage);

export const sessionsVariablesSchema = z
  .object({ ...databaseVariables, DRAIN_ROLES: jsonList, DRAIN_APPLICATION_NAMES: jsonList })
  .refine(hasDatabase, hasDatabaseMessage);

export const migrationsVariablesSchema = z
  .object({
    ...databaseVariables,
    LOCK_TIMEOUT_SECONDS: seconds,
    MIGRATION_ATTEMPTS: z.coerce.number().int().min(1),
  })
  .refine(hasDatabase, hasDatabaseMessage);

export const checkMigrationsVariablesSchema = z
  .object({
    ...databaseVariables,
    /** Key of the advisory lock that the application's function holds while it migrates. Unset: that of node-pg-migrate. */
    MIGRATION_LOCK: z.string().optional(),
  })
  .refine(hasDatabase, hasDatabaseMessage);

export const planVariablesSchema = z
  .object({
    ...databaseVariables,
    BUILDS_PER_ROUND: z.coerce.number().int().min(1),
    /** Unset: the window lasts until its builds end. */
    WINDOW_MINUTES: z.coerce.number().positive().optional(),
  })
  .refine(hasDatabase, hasDatabaseMessage);

const lockVariables = {
  LOCK_TIMEOUT_SECONDS: seconds,
  /** Unset: no session is terminated. */
  TERMINATE_IDLE_IN_TRANSACTION_SECONDS: seconds.optional(),
};

export const checkVariablesSchema = z
  .object({ ...databaseVariables, ...lockVariables })
  .refine(hasDatabase, hasDatabaseMessage);

export const buildVariablesSchema = z
  .object({
    ...databaseVariables,
    ...lockVariables,
    BUILD_WAIT_SECONDS: seconds,
    LONG_WAIT_SECONDS: seconds,
    BUILD_ATTEMPTS: z.coerce.number().int().min(1),
  })
  .refine(hasDatabase, hasDatabaseMessage);

export const reportVariablesSchema = z
  .object({
    ...databaseVariables,
    MIGRATIONS: z.enum(MIGRATION_RUNNERS),
    ENVIRONMENT_NAME: z.string(),
    /** Names of the configured services, comma-separated; empty: none. */
    SERVICES: z.string().transform((names) => names.split(',').filter((name) => name !== '')),
    START_SERVICES_MACHINE: z.string(),
    BUILD_INDEXES_MACHINE: z.string(),
    /** File for the report with all of its indexes. Only a run on your machine sets it. @default it is not saved */
    WHOLE_REPORT_FILE: z.string().optional(),
  })
  .refine(hasDatabase, hasDatabaseMessage);

export type DatabaseVariables = z.output<typeof databaseVariablesSchema>;

/** The variables that `lib/functions` sets, all of them as text. */
export type Variables<Schema extends z.ZodType> = { [Key in keyof z.input<Schema>]: string };

/**
 * Reads a function's variables.
 * @throws Error that names each missing or wrong variable, but not its value, which can be a secret
 */
export function readVariables<Schema extends z.ZodType>(
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
