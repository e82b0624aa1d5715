import type { ClientConfig } from 'pg';
import { z } from 'zod';
import type { DatabaseVariables } from '../shared/function-variables.ts';

/** The JSON that RDS writes into a secret; `dbname` is absent where RDS manages the master password. */
const secretSchema = z.object({
  host: z.string().optional(),
  port: z.coerce.number().int().optional(),
  username: z.string(),
  password: z.string(),
  dbname: z.string().optional(),
});

/** Reads a secret's text by its ARN. Handed in, so that the decision below runs without AWS. */
export type ReadSecret = (arn: string) => Promise<string>;

/** Asks Secrets Manager. Imported when needed: a machine with DATABASE_URL needs no AWS SDK. */
export const readSecretFromAws: ReadSecret = async (arn) => {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const answer = await new SecretsManagerClient().send(new GetSecretValueCommand({ SecretId: arn }));
  if (answer.SecretString === undefined)
    throw new Error(`The secret ${arn} holds binary data, not the JSON that RDS writes.`);
  return answer.SecretString;
};

/**
 * Where and as whom to connect: the secret where DATABASE_SECRET_ARN is set, else DATABASE_URL.
 * With a secret, TLS is on and the server's certificate is verified against the authorities that NODE_EXTRA_CA_CERTS adds.
 * @throws Error that names the field which is wrong, never a value.
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
    throw new Error('The secret has no "host": set database.host of the environment in cdk.json.');
  if (database === undefined)
    throw new Error('The secret has no "dbname": set database.name of the environment in cdk.json.');
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
    // The parser's message quotes the text, and the text is the secret.
    throw new Error(`The secret ${arn} is not JSON. It must hold username, password, host, port and dbname.`);
  }
  const parsed = secretSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => `"${issue.path.join('.')}"`).join(', ');
  throw new Error(
    `The secret ${arn} lacks or has a wrong ${fields}. It must hold username, password, host, port and dbname.`,
  );
}
