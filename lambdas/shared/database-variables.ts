import { schemaMessage } from './schema-messages.ts';
import * as z from './zod.ts';

/* The variables of every function, which are how it connects to the database: see function-variables.ts. */

/** A JSON list, so that a name can contain any character. */
export const jsonList = z.pipe(
  z.string(),
  z.transform((text) => z.array(z.string()).parse(JSON.parse(text))),
);

export const databaseVariables = {
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
  /** The database if the secret has no name of one. */
  DATABASE_DEFAULT_NAME: z.optional(z.string()),
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

export const hasDatabase = (variables: {
  DATABASE_SECRET_ARN?: string | undefined;
  DATABASE_IAM_USER?: string | undefined;
  DATABASE_URL?: string | undefined;
}) => (variables.DATABASE_SECRET_ARN ?? variables.DATABASE_IAM_USER ?? variables.DATABASE_URL) !== undefined;
export const hasDatabaseMessage = 'DATABASE_SECRET_ARN, DATABASE_IAM_USER or DATABASE_URL must be set';

export const databaseVariablesSchema = z
  .object(databaseVariables)
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export type DatabaseVariables = z.output<typeof databaseVariablesSchema>;

/** The variables that `lib/functions` sets, all of them as text. */
export type Variables<Schema extends z.ZodMiniType> = { [Key in keyof z.input<Schema>]: string };

/**
 * Reads a function's variables. Each function does this first, so that from then on its schemas have messages.
 * @throws Error that names each missing or wrong variable, but not its value, which can be a secret
 */
export function readVariables<Schema extends z.ZodMiniType>(
  schema: Schema,
  source: NodeJS.ProcessEnv = process.env,
): z.output<Schema> {
  if (z.config().localeError === undefined) z.config({ localeError: schemaMessage });
  const parsed = schema.safeParse(source);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join('.') || 'database'}: ${issue.message}`,
  );
  throw new Error(`The function's environment variables are wrong. ${problems.join('; ')}`);
}
