import { Match, type Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { databaseVariablesSchema, readVariables } from '../../lambdas/shared/database-variables.ts';
import { sessionsVariablesSchema } from '../../lambdas/shared/function-variables.ts';
import { machineNamesOf } from '../../lib/config/resource-names.ts';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { definitionsOf, statesOf } from './support/definitions.ts';
import { prodInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { resolveValue, resourcesOf, resourcesOfType, statementsIn } from './support/template-values.ts';

let synthesised: Synthesised;
let template: Template;

beforeAll(async () => {
  synthesised = await synthesise({ prod: prodInput() });
  template = synthesised.template('prod');
});
afterAll(() => synthesised?.dispose());

const SECRET = 'arn:aws:secretsmanager:eu-west-1:222222222222:secret:prod/postgres-AbCdEf';

describe.each(FUNCTIONS)('the function %s', (name) => {
  const properties = () => {
    const functionName = `pg-deploy-step-prod-${name}`;
    const found = resourcesOfType(template, 'AWS::Lambda::Function').find(
      ([, fn]) => fn.Properties.FunctionName === functionName,
    );
    if (found === undefined) throw new Error(`The template has no function ${functionName}.`);
    return found[1].Properties;
  };

  test('runs on Node 24 with tracing, in the configured network', () => {
    expect(properties()).toMatchObject({
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      TracingConfig: { Mode: 'Active' },
      VpcConfig: {
        SubnetIds: ['subnet-0fedcba9876543210', 'subnet-0fedcba9876543211', 'subnet-0fedcba9876543212'],
        SecurityGroupIds: ['sg-0fedcba9876543210'],
      },
    });
  });

  test('has the memory that it needs for the indexes of 5,000 tenants', () => {
    const readsAll = ['preflight', 'plan-builds', 'report'].includes(name);
    expect(properties().MemorySize).toBe(readsAll ? 1024 : 512);
  });

  test('has the secret of the database and the certificate authorities of RDS', () => {
    expect(properties().Environment).toMatchObject({
      Variables: {
        DATABASE_SECRET_ARN: SECRET,
        DATABASE_NAME: 'app',
        NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem',
      },
    });
    expect(JSON.stringify(properties())).not.toMatch(/NODE_TLS_REJECT_UNAUTHORIZED|PGSSLMODE/);
  });

  test('writes to a log group that keeps logs for three months', () => {
    const { LogGroup: logGroup } = properties().LoggingConfig as { LogGroup: { Ref: string } };

    expect(resourcesOf(template)[logGroup.Ref]?.Properties).toMatchObject({
      LogGroupName: `/aws/lambda/pg-deploy-step-prod-${name}`,
      RetentionInDays: 90,
    });
  });
});

test('the lock timeout and the long wait of a build fit into one invocation', () => {
  template.hasResourceProperties('AWS::Lambda::Function', {
    FunctionName: 'pg-deploy-step-prod-build-index',
    Timeout: 900,
    Environment: {
      Variables: Match.objectLike({
        LOCK_TIMEOUT_SECONDS: '300',
        BUILD_WAIT_SECONDS: '60',
        // 900 s minus the lock timeout and 120 s for the rest.
        LONG_WAIT_SECONDS: '480',
        BUILD_ATTEMPTS: '10',
      }),
    },
  });
});

test('migrations have their own lock timeout and number of attempts', async () => {
  const app = await synthesise({
    default: prodInput(),
    limited: { ...prodInput(), migrations: { runner: 'sql', lockTimeoutSeconds: 5, attempts: 3 } },
  });
  try {
    for (const [environmentName, seconds, attempts] of [
      ['default', '30', '10'],
      ['limited', '5', '3'],
    ] as const) {
      app.template(environmentName).hasResourceProperties('AWS::Lambda::Function', {
        FunctionName: `pg-deploy-step-${environmentName}-run-migrations`,
        Environment: {
          Variables: Match.objectLike({ LOCK_TIMEOUT_SECONDS: seconds, MIGRATION_ATTEMPTS: attempts }),
        },
      });
    }
  } finally {
    app.dispose();
  }
});

test('sessions that block a build are terminated only if the environment configures it', async () => {
  const app = await synthesise({
    default: prodInput(),
    terminating: { ...prodInput(), builds: { terminateBlockers: { idleInTransactionSeconds: 90 } } },
  });
  try {
    const variables = (environmentName: string, name: string) =>
      resourcesOfType(app.template(environmentName), 'AWS::Lambda::Function')
        .map(([, fn]) => fn.Properties)
        .find((properties) => properties.FunctionName === `pg-deploy-step-${environmentName}-${name}`)
        ?.Environment;
    for (const name of ['build-index', 'check-index']) {
      expect(variables('default', name)).not.toHaveProperty(
        'Variables.TERMINATE_IDLE_IN_TRANSACTION_SECONDS',
      );
      expect(variables('terminating', name)).toHaveProperty(
        'Variables.TERMINATE_IDLE_IN_TRANSACTION_SECONDS',
        '90',
      );
    }
  } finally {
    app.dispose();
  }
});

test('the functions have variables for the window, the sessions to drain and the deploy machine', async () => {
  const app = await synthesise({
    plain: prodInput(),
    full: {
      ...prodInput(),
      windowMinutes: 12.5,
      drain: { roles: ['app', 'a,b'], applicationNames: ['api "%"'] },
      builds: { perRound: 7 },
      database: { ...prodInput().database, trustedRoles: ['owner', 'a,"b'], searchPath: 'app, "$user"' },
    },
  });
  try {
    const variables = (environmentName: string, name: string) => {
      const template = app.template(environmentName);
      const found = resourcesOfType(template, 'AWS::Lambda::Function').find(
        ([, fn]) => fn.Properties.FunctionName === `pg-deploy-step-${environmentName}-${name}`,
      );
      const resolved = resolveValue(template, found?.[1].Properties.Environment);
      return (resolved as { Variables: Record<string, string> }).Variables;
    };
    expect(variables('plain', 'plan-builds')).toMatchObject({ BUILDS_PER_ROUND: '500' });
    expect(variables('plain', 'plan-builds')).not.toHaveProperty('WINDOW_MINUTES');
    expect(variables('full', 'plan-builds')).toMatchObject({ BUILDS_PER_ROUND: '7', WINDOW_MINUTES: '12.5' });
    expect(variables('plain', 'check-sessions')).toMatchObject({
      DRAIN_ROLES: '[]',
      DRAIN_APPLICATION_NAMES: '[]',
    });
    // The function reads the same values, with any character in a name.
    expect(readVariables(sessionsVariablesSchema, variables('full', 'check-sessions'))).toMatchObject({
      DRAIN_ROLES: ['app', 'a,b'],
      DRAIN_APPLICATION_NAMES: ['api "%"'],
    });
    expect(variables('plain', 'preflight')).not.toHaveProperty('TRUSTED_ROLES');
    expect(variables('plain', 'preflight')).not.toHaveProperty('SEARCH_PATH');
    for (const name of FUNCTIONS)
      expect(JSON.parse(variables('full', name).TRUSTED_ROLES ?? '')).toEqual(['owner', 'a,"b']);
    expect(readVariables(databaseVariablesSchema, variables('full', 'settle-index'))).toMatchObject({
      TRUSTED_ROLES: ['owner', 'a,"b'],
      SEARCH_PATH: ['app', '$user'],
    });
    expect(variables('plain', 'preflight').DEPLOY_MACHINE_ARN).toBe(
      'arn:aws:states:eu-west-1:222222222222:stateMachine:pg-deploy-step-plain-deploy',
    );
  } finally {
    app.dispose();
  }
});

test('the template contains no connection string', () => {
  expect(JSON.stringify(template.toJSON())).not.toMatch(/DATABASE_URL|postgres(ql)?:\/\/|password/i);
});

test('the state machines have fixed names, log everything and send traces', () => {
  const machines = resourcesOfType(template, 'AWS::StepFunctions::StateMachine');

  expect(machines.map(([, machine]) => machine.Properties.StateMachineName).sort()).toEqual(
    Object.values(machineNamesOf('prod')).sort(),
  );
  for (const [, machine] of machines) {
    expect(machine.Properties).toMatchObject({
      LoggingConfiguration: { Level: 'ALL', IncludeExecutionData: false },
      TracingConfiguration: { Enabled: true },
    });
    expect(machine.Properties.StateMachineType ?? 'STANDARD').toBe('STANDARD');
    expect(JSON.stringify(resolveValue(template, machine.Properties.LoggingConfiguration))).toContain(
      `log-group:/aws/vendedlogs/states/${machine.Properties.StateMachineName}:*`,
    );
  }
});

test('alerts are encrypted at rest and in transit, and are sent to the configured addresses', () => {
  const [[topicId, topic] = ['', undefined], ...others] = resourcesOfType(template, 'AWS::SNS::Topic');

  expect(others).toEqual([]);
  expect(resolveValue(template, topic?.Properties)).toMatchObject({
    TopicName: 'pg-deploy-step-prod-alerts',
    KmsMasterKeyId: 'arn:aws:kms:eu-west-1:222222222222:alias/aws/sns',
  });
  const policies = resourcesOfType(template, 'AWS::SNS::TopicPolicy');
  expect(policies.map(([, policy]) => policy.Properties.Topics)).toEqual([[{ Ref: topicId }]]);
  expect(statementsIn(template, policies[0]?.[1])).toEqual([
    {
      Effect: 'Deny',
      Action: ['sns:Publish'],
      Resource: ['arn:aws:sns:eu-west-1:222222222222:pg-deploy-step-prod-alerts'],
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      Principal: '*',
    },
  ]);
  template.resourceCountIs('AWS::SNS::Subscription', 1);
  template.hasResourceProperties('AWS::SNS::Subscription', {
    Protocol: 'email',
    Endpoint: 'on-call@example.com',
    TopicArn: { Ref: topicId },
  });
});

test('an old version of a function is retained, because a running execution may invoke it', () => {
  const versions = resourcesOfType(template, 'AWS::Lambda::Version');

  expect(versions).toHaveLength(FUNCTIONS.length);
  for (const [, version] of versions) {
    expect(version).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  }
});

const isRecovery = (parameters: Record<string, unknown> | undefined) =>
  (parameters?.Input as { recovery?: boolean } | undefined)?.recovery === true;

test('the children of an execution are started by a version, which is retained and follows each change of the definition', () => {
  const versions = resourcesOfType(template, 'AWS::StepFunctions::StateMachineVersion');
  const published = new Map(
    versions.map(([id, { Properties: properties }]) => {
      const { Ref: machine } = properties.StateMachineArn as { Ref: string };
      expect(properties.StateMachineRevisionId).toEqual({
        'Fn::GetAtt': [machine, 'StateMachineRevisionId'],
      });
      return [id, String(resourcesOf(template)[machine]?.Properties.StateMachineName)];
    }),
  );

  expect([...published.values()].toSorted()).toEqual(
    ['build-indexes', 'maintenance-window', 'start-services'].map((name) => `pg-deploy-step-prod-${name}`),
  );
  for (const [, version] of versions) {
    expect(version).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  }
  const children = Object.values(definitionsOf(template, 'prod')).flatMap((definition) =>
    Object.values(statesOf(definition))
      .filter(({ Resource: resource }) => resource?.includes('startExecution'))
      // A recovery runs the newest definition of its own state machine: it belongs to no deploy.
      .filter(({ Parameters: parameters }) => !isRecovery(parameters))
      .map(({ Parameters: parameters }) => String(parameters?.StateMachineArn)),
  );
  expect(children.length).toBeGreaterThan(3);
  for (const child of children) expect(child).toMatch(/:stateMachine:pg-deploy-step-prod-[a-z-]+:1$/);
});
