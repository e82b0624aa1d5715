import { describe, expect, test } from 'vitest';
import { readCredentials } from '../../lambdas/postgres/credentials.ts';

const ARN = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:rds!cluster-0a1b2c3d-AbCdEf';
const LOGIN = { username: 'deploy', password: 'pass:word' };
const RDS = { ...LOGIN, engine: 'postgres', host: 'in.secret', port: 5433, dbname: 'secret' };

async function read(secret: object, variables: Record<string, string> = {}) {
  return await readCredentials(
    { DATABASE_SECRET_ARN: ARN, ...variables },
    { readSecret: async () => JSON.stringify(secret), signToken: async () => '' },
  );
}

describe('where the functions connect', () => {
  test.each([
    ['as the secret says', RDS, {}, { host: 'in.secret', port: 5433, database: 'secret' }],
    [
      'as the variables say',
      RDS,
      { DATABASE_HOST: 'host', DATABASE_PORT: '6432', DATABASE_NAME: 'name' },
      { host: 'host', port: 6432, database: 'name' },
    ],
    [
      'the name in the secret before the default',
      RDS,
      { DATABASE_DEFAULT_NAME: 'shop' },
      { database: 'secret' },
    ],
    [
      'a secret that contains only username and password',
      LOGIN,
      { DATABASE_HOST: 'host', DATABASE_DEFAULT_NAME: 'shop' },
      { host: 'host', port: 5432, database: 'shop', user: 'deploy' },
    ],
    ['the port as text', { ...RDS, port: '5439' }, {}, { port: 5439 }],
  ])('%s', async (_name, secret, variables, expected) => {
    expect(await read(secret, variables)).toMatchObject(expected);
  });

  test.each([
    ['host', { DATABASE_NAME: 'shop' }, 'has no "host". Set database.host'],
    ['name', { DATABASE_HOST: 'host' }, 'has no "dbname". Set database.name'],
  ])('a secret without a %s says what to set, and shows no value', async (_name, variables, message) => {
    const error: unknown = await read(LOGIN, variables).catch((thrown: unknown) => thrown);

    expect(String(error)).toContain(message);
    expect(String(error)).not.toContain(LOGIN.password);
  });
});
