import type { ClientConfig } from 'pg';
import * as z from 'zod';
import type { DatabaseVariables } from '../shared/function-variables.ts';

/** The JSON that RDS writes into a secret. It has no `dbname` when RDS manages the master password. */
const secretSchema = z.object({
  host: z.string().optional(),
  port: z.coerce.number().int().optional(),
  username: z.string(),
  password: z.string(),
  dbname: z.string().optional(),
});

/** Reads the text of a secret by its ARN. A parameter, so that `readCredentials` can run without AWS. */
type ReadSecret = (arn: string) => Promise<string>;

/** Reads a secret from Secrets Manager. The AWS SDK is loaded only here: with DATABASE_URL it is not needed. */
export const readSecretFromAws: ReadSecret = async (arn) => {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const answer = await new SecretsManagerClient().send(new GetSecretValueCommand({ SecretId: arn }));
  if (answer.SecretString === undefined)
    throw new Error(`The secret ${arn} contains binary data. It must contain JSON in the format of RDS.`);
  return answer.SecretString;
};

/**
 * Reads the connection's settings: from the secret if DATABASE_SECRET_ARN is set, otherwise from DATABASE_URL. With a
 * secret, the connection uses TLS, and the server's certificate is verified (NODE_EXTRA_CA_CERTS adds authorities).
 * @throws Error that names the wrong field of the secret, never its value
 */
export async function readCredentials(
  variables: DatabaseVariables,
  readSecret: ReadSecret,
): Promise<ClientConfig> {
  if (variables.DATABASE_SECRET_ARN === undefined) return { connectionString: variables.DATABASE_URL };
  const secret = parseSecret(await readSecret(variables.DATABASE_SECRET_ARN), variables.DATABASE_SECRET_ARN);
  const host = variables.DATABASE_HOST ?? secret.host;
  const database = variables.DATABASE_NAME ?? secret.dbname;
  if (host === undefined)
    throw new Error('The secret has no "host". Set database.host of the environment in cdk.json.');
  if (database === undefined)
    throw new Error('The secret has no "dbname". Set database.name of the environment in cdk.json.');
  return {
    host,
    port: Number(variables.DATABASE_PORT ?? secret.port ?? 5432),
    user: secret.username,
    password: secret.password,
    database,
    ssl: { rejectUnauthorized: true },
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
