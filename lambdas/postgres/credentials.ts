import type { ClientConfig } from 'pg';
import type { DatabaseVariables } from '../shared/database-variables.ts';
import * as z from '../shared/zod.ts';
import { type IamLogin, signIamToken } from './iam-token.ts';
import { verifyingTls } from './server-certificate.ts';

/** The JSON that RDS writes into a secret. It has no `dbname` when RDS manages the master password. */
const secretSchema = z.object({
  host: z.optional(z.string()),
  port: z.optional(z.coerce.number().check(z.int())),
  username: z.string(),
  password: z.string(),
  dbname: z.optional(z.string()),
});

/** Reads the text of a secret by its ARN. A parameter, so that `readCredentials` can run without AWS. */
type ReadSecret = (arn: string) => Promise<string>;

/** The SDK retries throttling and temporary errors, with backoff and jitter. Its default is 3 attempts. */
const SECRET_ATTEMPTS = 8;

/** Reads a secret from Secrets Manager. The AWS SDK is loaded only here: with DATABASE_URL it is not needed. */
const readSecretFromAws: ReadSecret = async (arn) => {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient({ maxAttempts: SECRET_ATTEMPTS });
  const answer = await client.send(new GetSecretValueCommand({ SecretId: arn }));
  if (answer.SecretString === undefined)
    throw new Error(`The secret ${arn} contains binary data. It must contain JSON in the format of RDS.`);
  return answer.SecretString;
};

/** Signs a token of IAM database authentication, which is used as the password. */
type SignToken = (login: IamLogin) => Promise<string>;

/** Where passwords come from. A parameter, so that the code can run without AWS. */
export interface CredentialSources {
  readonly readSecret: ReadSecret;
  readonly signToken: SignToken;
}

export const AWS_SOURCES: CredentialSources = {
  readSecret: readSecretFromAws,
  signToken: async (login) => signIamToken(login),
};

/**
 * Reads the connection's settings: from the secret if DATABASE_SECRET_ARN is set, from the other variables if DATABASE_IAM_USER
 * is set, otherwise from DATABASE_URL. Except with a URL, the connection uses TLS and verifies the server's certificate.
 * @throws Error that names the wrong field of the secret, never its value
 */
export async function readCredentials(
  variables: DatabaseVariables,
  { readSecret, signToken }: CredentialSources,
): Promise<ClientConfig> {
  if (variables.DATABASE_IAM_USER !== undefined)
    return iamLogin(variables, variables.DATABASE_IAM_USER, signToken);
  if (variables.DATABASE_SECRET_ARN === undefined) return { connectionString: variables.DATABASE_URL };
  const secret = parseSecret(await readSecret(variables.DATABASE_SECRET_ARN), variables.DATABASE_SECRET_ARN);
  const host = variables.DATABASE_HOST ?? secret.host;
  const database = variables.DATABASE_NAME ?? secret.dbname ?? variables.DATABASE_DEFAULT_NAME;
  if (host === undefined)
    throw new Error(
      'The secret has no "host". Set database.host in cdk.json, or databaseOptions.host of the construct.',
    );
  if (database === undefined)
    throw new Error(
      'The secret has no "dbname". Set database.name in cdk.json, or databaseOptions.name of the construct.',
    );
  return {
    host,
    port: Number(variables.DATABASE_PORT ?? secret.port ?? 5432),
    user: secret.username,
    password: secret.password,
    database,
    ssl: verifyingTls(variables),
  };
}

function iamLogin(variables: DatabaseVariables, username: string, signToken: SignToken): ClientConfig {
  const { DATABASE_HOST: hostname, DATABASE_NAME: database, DATABASE_PORT: port = '5432' } = variables;
  if (hostname === undefined || database === undefined)
    throw new Error('DATABASE_IAM_USER needs DATABASE_HOST and DATABASE_NAME.');
  return {
    ...{ host: hostname, port: Number(port), user: username, database },
    // node-postgres calls it for each connection: a token expires.
    password: async () => await signToken({ hostname, port: Number(port), username }),
    ssl: verifyingTls(variables),
  };
}

function parseSecret(text: string, arn: string): z.infer<typeof secretSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message would quote the secret.
    throw new Error(
      `The secret ${arn} is not JSON. It must contain username, password, host, port and dbname.`,
    );
  }
  const parsed = secretSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => `"${issue.path.join('.')}"`).join(', ');
  throw new Error(
    `In the secret ${arn}, ${fields} is missing or wrong. It must contain username, password, host, port and dbname.`,
  );
}
