import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EnvironmentInput, parseEnvironments } from '../../lib/config/environment-config.ts';
import { bundleFunctions } from '../../lib/functions/bundle-functions.ts';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { certificatesOf } from '../../lib/functions/ship-certificates.ts';
import { iamInput, prodInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { resourcesOfType, statementsIn } from './support/template-values.ts';

const WRITER = 'shop.cluster-abc123.eu-west-1.rds.amazonaws.com';

let synthesised: Synthesised;
beforeAll(async () => {
  synthesised = await synthesise({ prod: prodInput(), iam: iamInput() });
});
afterAll(() => synthesised?.dispose());

const variablesOf = (name: string) =>
  resourcesOfType(synthesised.template(name), 'AWS::Lambda::Function').map(
    ([, { Properties: properties }]) =>
      (properties.Environment as { Variables: Record<string, string> }).Variables,
  );

describe('with IAM', () => {
  test('each function may connect as the one user to the one database, and reads no secret', () => {
    const statements = statementsIn(synthesised.template('iam'));

    expect(
      statements
        .filter(({ Action: actions }) => actions.some((action) => action.startsWith('rds-db:')))
        .map(({ Action, Resource }) => ({ Action, Resource })),
    ).toEqual(
      Array(FUNCTIONS.length).fill({
        Action: ['rds-db:connect'],
        Resource: ['arn:aws:rds-db:eu-west-1:222222222222:dbuser:cluster-ABCDEFGHIJ/shop_deploy'],
      }),
    );
    expect(JSON.stringify(statements)).not.toMatch(/secretsmanager|kms:Decrypt/);
  });

  test('each function knows the user, the host and the database', () => {
    for (const variables of variablesOf('iam')) {
      expect(variables).toMatchObject({
        ...{ DATABASE_IAM_USER: 'shop_deploy', DATABASE_HOST: 'db.example', DATABASE_NAME: 'shop' },
        RDS_CERTIFICATES_FILE: 'database-authorities.pem',
      });
      expect(variables).not.toHaveProperty('DATABASE_SECRET_ARN');
    }
  });
});

test('with a password no function may connect with IAM', () => {
  expect(JSON.stringify(statementsIn(synthesised.template('prod')))).not.toContain('rds-db:');
});

test('the authorities of RDS are a file of every function', () => {
  const outdir = join(synthesised.app.outdir, 'bundles-of-the-test');
  const certificates = certificatesOf(undefined, '/');
  const folders = bundleFunctions({ outdir, registry: [], migrations: null, certificates });

  for (const name of FUNCTIONS)
    expect(readFileSync(join(folders[name], 'database-authorities.pem'), 'utf8')).toBe(certificates);
  expect(certificates).toContain('-----BEGIN CERTIFICATE-----');
});

describe('the configuration of the login', () => {
  const problemsOf = (database: unknown) => {
    try {
      parseEnvironments({ prod: { ...prodInput(), database: database as EnvironmentInput['database'] } });
      return [];
    } catch (error) {
      return (error as Error).message
        .split('\n')
        .slice(1)
        .map((line) => line.trim());
    }
  };
  const secretArn = 'arn:aws:secretsmanager:eu-west-1:222222222222:secret:prod/postgres-AbCdEf';
  const managed =
    'arn:aws:secretsmanager:eu-west-1:222222222222:secret:rds!db-0a1b2c3d-1111-2222-3333-444444444444-AbCdEf';
  const iam = {
    ...{ authentication: 'iam', user: 'shop_deploy', resourceId: 'db-ABCDEFGHIJ' },
    ...{ host: 'db.example', name: 'shop' },
  };

  test.each<[string, unknown, string[]]>([
    ['a password', { secretArn, caFile: 'ca.pem', serverName: 'db.example' }, []],
    ['IAM', iam, []],
    [
      'a secret that RDS manages, without what it does not contain',
      { secretArn: managed },
      ['host', 'name'].map(
        (field) =>
          `environments.prod.database.${field}: is required, because RDS manages this secret: it contains only username and password`,
      ),
    ],
    ['a secret that RDS manages', { secretArn: managed, host: WRITER, name: 'shop' }, []],
    [
      'the reader of a cluster',
      { secretArn, host: WRITER.replace('cluster-', 'cluster-ro-') },
      [
        'environments.prod.database.host: must be the writer endpoint of the Aurora cluster (NAME.cluster-ID.REGION.rds.amazonaws.com): only the writer accepts changes',
      ],
    ],
    ...['db.example:5432', 'postgres://db.example', 'user@db.example'].map(
      (host): [string, unknown, string[]] => [
        `the host ${host}`,
        { secretArn, host },
        ['environments.prod.database.host: must be a host, without a scheme and without a port'],
      ],
    ),
    ['no secret', {}, ['environments.prod.database.secretArn: is required with authentication "password"']],
    [
      'IAM with a secret',
      { ...iam, secretArn },
      [
        'environments.prod.database.secretArn: must not be set with authentication "iam", which does not use it',
      ],
    ],
    [
      'a password with a user',
      { secretArn, user: 'shop' },
      [
        'environments.prod.database.user: must not be set with authentication "password", which does not use it',
      ],
    ],
    [
      'IAM with nothing else',
      { authentication: 'iam' },
      ['user', 'resourceId', 'host', 'name'].map(
        (field) => `environments.prod.database.${field}: is required with authentication "iam"`,
      ),
    ],
    [
      'another authentication',
      { authentication: 'kerberos', secretArn },
      ['environments.prod.database.authentication: must be one of password, iam'],
    ],
  ])('%s', (_name, database, expected) => {
    expect(problemsOf(database)).toEqual(expected);
  });

  test.each(['*', 'a*', 'a?', 'a/b', '$user', ''])('no wildcard can be the user: %s', (user) => {
    expect(problemsOf({ ...iam, user })).toEqual([
      expect.stringContaining('environments.prod.database.user: must be the name of one database role'),
    ]);
  });

  test.each(['*', 'db-*', 'shop', 'cluster-', 'db-ABC/*'])(
    'no wildcard can be the resource id: %s',
    (resourceId) => {
      expect(problemsOf({ ...iam, resourceId })).toEqual([
        expect.stringContaining('environments.prod.database.resourceId: must be the resource id'),
      ]);
    },
  );

  test.each(['db.example:5432', 'https://db', '*', ''])(
    'no address can be the name of the server: %s',
    (serverName) => {
      expect(problemsOf({ secretArn, serverName })).toEqual([
        expect.stringContaining('environments.prod.database.serverName: must be the name of a host'),
      ]);
    },
  );
});
