import { createHash, createHmac } from 'node:crypto';

/** A login for which a token is signed. */
export interface IamLogin {
  hostname: string;
  port: number;
  username: string;
}

/** The variables that Lambda sets for the role of a function, and its region. */
type AwsVariables = Readonly<Record<string, string | undefined>>;

const VALID_SECONDS = 900;

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SERVICE = 'rds-db';

/**
 * Signs a token of IAM database authentication, which is used as the password and is valid for 15 minutes. It is the address of a
 * request to RDS that is never sent, signed with Signature Version 4 of AWS:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * @throws Error that names the variable that is not set
 */
export function signIamToken(
  { hostname, port, username }: IamLogin,
  variables: AwsVariables = process.env,
): string {
  const required = (name: string) => {
    const value = variables[name];
    if (value) return value;
    throw new Error(`The login with IAM needs ${name}, which Lambda sets for the role of the function.`);
  };
  const host = `${hostname}:${port}`;
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = [time.slice(0, 8), required('AWS_REGION'), SERVICE, 'aws4_request'];
  const session = variables.AWS_SESSION_TOKEN;
  const fields = {
    Action: 'connect',
    DBUser: username,
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': [required('AWS_ACCESS_KEY_ID'), ...scope].join('/'),
    'X-Amz-Date': time,
    'X-Amz-Expires': String(VALID_SECONDS),
    ...(session && { 'X-Amz-Security-Token': session }),
    'X-Amz-SignedHeaders': 'host',
  };
  const request = ['GET', '/', queryOf(fields), `host:${host}`, '', 'host', sha256('')].join('\n');
  const text = [ALGORITHM, time, scope.join('/'), sha256(request)].join('\n');
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${required('AWS_SECRET_ACCESS_KEY')}`);
  return `${host}/?${queryOf({ ...fields, 'X-Amz-Signature': hmac(key, text).toString('hex') })}`;
}

/** The fields in the order of their names, which a signature requires. */
function queryOf(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${escaped(value)}`)
    .join('&');
}

/** Signatures escape these characters too. */
function escaped(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
