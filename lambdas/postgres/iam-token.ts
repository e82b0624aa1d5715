import { Sha256 } from '@smithy/core/checksum';
import { buildQueryString, HttpRequest } from '@smithy/core/protocols';
import { SignatureV4 } from '@smithy/signature-v4';

/** A login for which a token is signed. */
export interface IamLogin {
  hostname: string;
  port: number;
  username: string;
}

/** The variables that Lambda sets for the role of a function, and its region. */
type AwsVariables = Readonly<Record<string, string | undefined>>;

const VALID_SECONDS = 900;

/**
 * Signs a token of IAM database authentication, which is used as the password and is valid for 15 minutes. It is the address of a
 * request to RDS that is never sent.
 * @throws Error that names the variable that is not set
 */
export async function signIamToken(
  { hostname, port, username }: IamLogin,
  variables: AwsVariables = process.env,
): Promise<string> {
  const required = (name: string) => {
    const value = variables[name];
    if (value) return value;
    throw new Error(`The login with IAM needs ${name}, which Lambda sets for the role of the function.`);
  };
  const session = variables.AWS_SESSION_TOKEN;
  const signer = new SignatureV4({
    service: 'rds-db',
    region: required('AWS_REGION'),
    credentials: {
      accessKeyId: required('AWS_ACCESS_KEY_ID'),
      secretAccessKey: required('AWS_SECRET_ACCESS_KEY'),
      ...(session && { sessionToken: session }),
    },
    sha256: Sha256,
  });
  const request = new HttpRequest({
    method: 'GET',
    protocol: 'https:',
    hostname,
    port,
    path: '/',
    query: { Action: 'connect', DBUser: username },
    headers: { host: `${hostname}:${port}` },
  });
  const { query } = await signer.presign(request, { expiresIn: VALID_SECONDS });
  return `${hostname}:${port}/?${buildQueryString(query ?? {})}`;
}
