import { z } from 'zod';
import { MAX_IDENTIFIER_BYTES, parseIdentifierList } from '../../lambdas/postgres/identifiers.ts';
import { databaseResourceId, databaseUser, kmsKeyArn, secretArn } from './aws-names.ts';
import { fields } from './configuration-error.ts';

/** Why a text cannot be the name of a trusted role. Null: it can. */
export function trustedRoleProblem(name: string): string | null {
  if (name === '') return 'must be the name of a database role';
  if (name.toLowerCase() === 'public')
    return 'must be the name of one role: PUBLIC is every role, also those that you do not trust';
  if (Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES)
    return `must be the name of a database role, which has at most ${MAX_IDENTIFIER_BYTES} bytes`;
  return null;
}

const trustedRole = z.string().superRefine((name, context) => {
  const problem = trustedRoleProblem(name);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

/** Why a list cannot be a search path. Null: it can. */
function searchPathProblem(names: readonly string[]): string | null {
  if (names.length === 0) return 'must name at least one schema';
  if (names.includes('')) return 'must not contain an empty name';
  const long = names.find((name) => Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES);
  if (long === undefined) return null;
  return `must contain names of at most ${MAX_IDENTIFIER_BYTES} bytes, which is the limit of PostgreSQL`;
}

/**
 * Reads a search path: a list of names, or a text in the syntax of PostgreSQL's setting.
 * @returns the names of the schemas, or what is wrong, as the end of a sentence
 */
export function readSearchPath(value: unknown): { names: string[] } | { problem: string } {
  const names = typeof value === 'string' ? parseIdentifierList(value) : value;
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    return { problem: SEARCH_PATH_SYNTAX };
  const problem = searchPathProblem(names);
  return problem === null ? { names } : { problem };
}

const SEARCH_PATH_SYNTAX = 'must be names of schemas, separated by commas, such as app, "$user", public';

const searchPath = z
  .custom<string | string[]>(() => true)
  .transform((value, context): string[] => {
    const read = readSearchPath(value);
    if ('names' in read) return read.names;
    context.addIssue({ code: 'custom', message: read.problem });
    return z.NEVER;
  });

const hostName = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$/,
    'must be the name of a host in the certificate, without a port',
  );

/** RDS names the secrets that it manages rds!db-ID and rds!cluster-ID. */
export function isManagedSecret(arn: string | undefined): boolean {
  return arn?.includes(':secret:rds!') ?? false;
}

/** The reader and the custom endpoints of an Aurora cluster. Theirs can be an instance that only reads. */
const OTHER_ENDPOINT = /^[^.]+\.cluster-(?:ro|custom)-[^.]+\./i;

const databaseHost = z
  .string()
  .min(1)
  .refine((host) => !/[\s/@]|^[^:]+:\d+$/.test(host), 'must be a host, without a scheme and without a port')
  .refine(
    (host) => !OTHER_ENDPOINT.test(host),
    'must be the writer endpoint of the Aurora cluster (NAME.cluster-ID.REGION.rds.amazonaws.com): only the writer accepts changes',
  );

/** The fields that only one kind of authentication uses. */
const ONLY_PASSWORD = ['secretArn', 'secretKeyArn'] as const;
const ONLY_IAM = ['user', 'resourceId'] as const;
const NEEDED_FOR_IAM = ['user', 'resourceId', 'host', 'name'] as const;

export const databaseSchema = fields({
  /**
   * How the functions log in. `password`: with the user and the password of the secret. `iam`: as `user`, with a token that the
   * function signs with its own role.
   */
  authentication: z.enum(['password', 'iam']).default('password'),
  /** Complete ARN of the secret, a JSON object as RDS writes it: host, port, username, password, dbname. Not with `iam`. */
  secretArn: secretArn.optional(),
  /** ARN of the customer-managed KMS key that encrypts the secret. @default the AWS managed key */
  secretKeyArn: kmsKeyArn.optional(),
  /** The database role. Only with `iam`. */
  user: databaseUser.optional(),
  /** Resource id of the instance or the cluster: the functions may connect to no other one. Only with `iam`. */
  resourceId: databaseResourceId.optional(),
  /**
   * File with the certificates of your own authority in PEM format, relative to the project. The functions trust only these.
   * @default Amazon's authorities for RDS, and those of Node.js
   */
  caFile: z.string().min(1).optional(),
  /** The name in the server's certificate, if `host` is another name for it, such as a CNAME. @default the host */
  serverName: hostName.optional(),
  /** Database to connect to. @default the secret's dbname */
  name: z.string().min(1).optional(),
  /** Of an Aurora cluster the writer endpoint. @default the secret's host */
  host: databaseHost.optional(),
  /** @default the secret's port, otherwise 5432 */
  port: z.int().min(1).max(65_535).optional(),
  /** Roles that are trusted like the deploy role, for example the owner of the tables: see trusted-roles.ts. */
  trustedRoles: z.array(trustedRole).default([]),
  /** Schemas in which names in definitions and migrations are looked up. @default the search path of the role */
  searchPath: searchPath.optional(),
  /** Whether errors contain values of rows, in ledger, log, execution history, alert and report: see row-values.ts. */
  showRowValues: z.boolean().default(false),
}).superRefine((database, context) => {
  const isIam = database.authentication === 'iam';
  const problem = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: [field], message });
  for (const field of isIam ? NEEDED_FOR_IAM : (['secretArn'] as const)) {
    if (database[field] === undefined)
      problem(field, `is required with authentication "${database.authentication}"`);
  }
  if (!isIam && isManagedSecret(database.secretArn)) {
    for (const field of ['host', 'name'] as const) {
      if (database[field] === undefined)
        problem(
          field,
          'is required, because RDS manages this secret: it contains only username and password',
        );
    }
  }
  for (const field of isIam ? ONLY_PASSWORD : ONLY_IAM) {
    if (database[field] !== undefined)
      problem(
        field,
        `must not be set with authentication "${database.authentication}", which does not use it`,
      );
  }
});

export type DatabaseConfig = z.output<typeof databaseSchema>;
