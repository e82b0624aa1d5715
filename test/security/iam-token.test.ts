import { Signer } from '@aws-sdk/rds-signer';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AWS_SOURCES, readCredentials } from '../../lambdas/postgres/credentials.ts';
import { signIamToken } from '../../lambdas/postgres/iam-token.ts';
import { bundleCode } from '../../lib/functions/bundle-code.ts';

const VARIABLES = {
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'of-the-test',
  AWS_REGION: 'eu-west-1',
};
const SESSION = { AWS_SESSION_TOKEN: 'IQoJb3JpZ2lu/+=& é' };
const HOST = 'db.cluster-abc123.eu-west-1.rds.amazonaws.com';

describe('the token of IAM', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: new Date('2026-03-04T05:06:07Z'), toFake: ['Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });

  test.each([
    ['of a function', { hostname: HOST, port: 5432, username: 'shop_deploy' }, SESSION],
    ['without a session', { hostname: HOST, port: 5432, username: 'shop_deploy' }, {}],
    ['with another port', { hostname: HOST, port: 6543, username: 'shop_deploy' }, SESSION],
    [
      'for a name with special characters',
      { hostname: HOST, port: 5432, username: "a@b+c=d,e-f.g'!()*" },
      SESSION,
    ],
  ])('%s is the same as that of the AWS SDK', async (_what, login, session) => {
    const {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: region,
    } = VARIABLES;
    const sessionToken = Object.values(session)[0];
    const credentials = { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };

    const token = signIamToken(login, { ...VARIABLES, ...session });

    expect(token).toBe(await new Signer({ ...login, region, credentials }).getAuthToken());
  });

  test('is for one user of one database, valid for 15 minutes, and contains no secret', async () => {
    for (const [name, value] of Object.entries(VARIABLES)) vi.stubEnv(name, value);
    vi.stubEnv('AWS_SESSION_TOKEN', '');
    const { password } = await readCredentials(
      { DATABASE_IAM_USER: 'shop_deploy', DATABASE_HOST: HOST, DATABASE_NAME: 'shop' },
      AWS_SOURCES,
    );
    const token = await (password as () => Promise<string>)();

    const url = new URL(`https://${token}`);
    expect(url.host).toBe(`${HOST}:5432`);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      ...{ Action: 'connect', DBUser: 'shop_deploy', 'X-Amz-Expires': '900' },
      'X-Amz-Credential': 'AKIDEXAMPLE/20260304/eu-west-1/rds-db/aws4_request',
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(token).not.toContain('of-the-test');
  });

  test.each(Object.keys(VARIABLES))('without the variable %s is refused, without a value', (name) => {
    const sign = () =>
      signIamToken(
        { hostname: HOST, port: 5432, username: 'shop_deploy' },
        { ...VARIABLES, [name]: undefined },
      );

    expect(sign).toThrow(`The login with IAM needs ${name}, which Lambda sets`);
  });

  test('is signed without the AWS SDK, whose sources of credentials would be part of each function', () => {
    const names = bundleCode().packages.map(({ name }) => name);

    expect(names.filter((name) => /^@(?:aws-sdk|smithy)\//.test(name))).toEqual([]);
  });
});
