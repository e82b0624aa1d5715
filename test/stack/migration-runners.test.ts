import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  branchesOf,
  type Definition,
  definitionsOf,
  reachableWithout,
  stateOf,
} from './support/definitions.ts';
import {
  ecsTaskInput,
  ecsTaskOnEc2Input,
  lambdaInput,
  prodInput,
  type Synthesised,
  synthesise,
} from './support/synthesise.ts';
import { permissionsOf, resourcesOfType, statementsIn } from './support/template-values.ts';

// Without services, which need some of the same permissions and states.
const INPUTS = {
  none: { ...prodInput(), migrations: { runner: 'none' as const }, services: [] },
  fargate: { ...ecsTaskInput(), services: [] },
  ec2: { ...ecsTaskOnEc2Input(), services: [] },
  function: { ...lambdaInput(), services: [] },
};
type Name = keyof typeof INPUTS;

let synthesised: Synthesised;
const windows = new Map<Name, Definition>();

beforeAll(async () => {
  synthesised = await synthesise(INPUTS);
  for (const name of Object.keys(INPUTS) as Name[]) {
    windows.set(name, definitionsOf(synthesised.template(name), name)['maintenance-window']);
  }
});
afterAll(() => synthesised?.dispose());

function window(name: Name): Definition {
  const found = windows.get(name);
  if (found === undefined) throw new Error(`${name} has no maintenance window.`);
  return found;
}
const state = (name: Name, of: string) => stateOf(window(name), of);

const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:222222222222:${rest}`;

/** The permissions of the window's role that it does not have without migrations. */
function permissionsOfRunner(name: Name) {
  const roleOf = (of: Name) => {
    const [, machine] =
      resourcesOfType(synthesised.template(of), 'AWS::StepFunctions::StateMachine').find(
        ([, { Properties: p }]) => p.StateMachineName === `pg-deploy-step-${of}-maintenance-window`,
      ) ?? [];
    const role = machine?.Properties.RoleArn as { 'Fn::GetAtt': [string, string] } | undefined;
    return role?.['Fn::GetAtt'][0] ?? '';
  };
  const without = permissionsOf(synthesised.template('none'), roleOf('none'));
  const own = (permission: string) =>
    permission.replaceAll(`pg-deploy-step-${name}-`, 'pg-deploy-step-none-');
  return permissionsOf(synthesised.template(name), roleOf(name)).filter(
    (permission) =>
      !without.includes(own(permission)) &&
      !without.includes(permission.replace(`/pg-deploy-step/${name}/`, '/pg-deploy-step/none/')),
  );
}

const conditionOf = (name: Name, action: string) =>
  statementsIn(synthesised.template(name))
    .filter((statement) => statement.Action.includes(action))
    .map((statement) => statement.Condition);

const ON_CLUSTER = { ArnEquals: { 'ecs:cluster': arn('ecs', 'cluster/prod') } };

describe('the runner ecs-task', () => {
  test('runs the configured task with .sync', () => {
    expect(state('fargate', 'Run Migrations')).toMatchObject({
      Resource: 'arn:aws:states:::ecs:runTask.sync',
      TimeoutSeconds: 5_400,
      Next: 'Build Indexes',
      Parameters: {
        Cluster: 'prod',
        TaskDefinition: 'shop-migrate',
        LaunchType: 'FARGATE',
        Group: 'pg-deploy-step-fargate-migrations',
        NetworkConfiguration: {
          AwsvpcConfiguration: {
            Subnets: ['subnet-a', 'subnet-b'],
            SecurityGroups: ['sg-a'],
            AssignPublicIp: 'DISABLED',
          },
        },
        Overrides: {
          ContainerOverrides: [
            {
              Name: 'migrate',
              Command: ['alembic', 'upgrade', 'head'],
              Environment: [{ Name: 'APP_ENV', Value: 'prod' }],
            },
          ],
        },
      },
    });
    expect(state('ec2', 'Run Migrations').Parameters).toEqual({
      Cluster: 'prod',
      TaskDefinition: 'shop-migrate:7',
      LaunchType: 'EC2',
      Group: 'pg-deploy-step-ec2-migrations',
      Overrides: { ContainerOverrides: [{ Name: 'migrate' }] },
    });
  });

  test('retries only if ECS did not start the task, so that no migration runs twice', () => {
    const retried = (state('fargate', 'Run Migrations').Retry ?? []).flatMap((retry) => retry.ErrorEquals);

    expect(retried).toEqual([
      'ECS.AmazonECSException',
      'ECS.ThrottlingException',
      'AmazonECS.Unknown',
      'ECS.InvalidParameterException',
    ]);
  });

  test('records every failure as data, and waits until the task is STOPPED', () => {
    expect(state('fargate', 'Run Migrations').Catch).toEqual([
      {
        ErrorEquals: ['States.DataLimitExceeded'],
        Next: 'Record Migration Error',
        ResultPath: '$.migrationError',
      },
      { ErrorEquals: ['States.ALL'], Next: 'Record Migration Error', ResultPath: '$.migrationError' },
    ]);
    expect(state('fargate', 'Record Migration Error')).toMatchObject({
      Parameters: {
        output: {
          status: 'failed',
          runner: {
            ...{ name: 'ecs-task', cluster: 'prod', taskDefinition: 'shop-migrate', container: 'migrate' },
            ...{ timeoutMinutes: 90, logs: { group: '/ecs/shop', streamPrefix: 'shop' } },
          },
          'caught.$': '$.migrationError',
        },
      },
      Next: 'Begin Task Check',
    });
    expect(state('ec2', 'Record Migration Error').Parameters).toMatchObject({
      output: { runner: { logs: null } },
    });
    expect(state('fargate', 'Begin Task Check').Parameters).toEqual({
      ...{ count: 0, statuses: ['RUNNING', 'STOPPED'] },
    });
    const family = {
      Cluster: 'prod',
      Family: 'shop-migrate',
      'DesiredStatus.$': '$.status',
      MaxResults: 20,
    };
    expect(state('fargate', 'List Migration Tasks').Parameters).toEqual(family);
    expect(state('fargate', 'List More Migration Tasks').Parameters).toEqual({
      ...{ ...family, 'NextToken.$': '$.page.next[0]' },
    });
    expect(state('fargate', 'Describe Migration Tasks')).toMatchObject({
      Parameters: { Cluster: 'prod', 'Tasks.$': '$.page.tasks' },
      ResultSelector: {
        'tasks.$': "$.Tasks[?(@.Group == 'pg-deploy-step-fargate-migrations')].TaskArn",
        'statuses.$': "$.Tasks[?(@.Group == 'pg-deploy-step-fargate-migrations')].LastStatus",
      },
      Next: 'Summarize Migration Tasks',
    });
    expect(state('fargate', 'Find Migration Tasks').Catch).toEqual(
      ['States.DataLimitExceeded', 'States.ALL'].map((error) => ({
        ...{ ErrorEquals: [error], Next: 'Migration Has Run?', ResultPath: null },
      })),
    );
    // 10 minutes, with pauses of 1, 2, 3 … seconds
    expect(state('fargate', 'Migration Tasks Stopped?')).toMatchObject({
      Choices: [
        { Variable: '$.migrationTasks.total.tasks', NumericEquals: 0, Next: 'Migration Has Run?' },
        {
          Variable: '$.migrationTasks.count',
          NumericGreaterThanEquals: 35,
          Next: 'Whose Task Still Runs?',
        },
      ],
      Default: 'Stop Migration Tasks',
    });
    expect(branchesOf(state('fargate', 'Migration Has Run?'))).toEqual([
      'Migration Failed',
      'Run Migrations',
    ]);
    expect(branchesOf(state('fargate', 'Whose Task Still Runs?'))).toEqual([
      'Record Running Migration',
      'Earlier Migration Still Runs',
    ]);
    expect(Object.keys(reachableWithout(window('fargate'), 'Run Migrations'))).not.toContain('Build Indexes');
  });

  test('may run this family in this cluster, pass its two roles and wait for the end', () => {
    expect(permissionsOfRunner('fargate')).toEqual(
      [
        `ecs:RunTask on ${arn('ecs', 'task-definition/shop-migrate:*')}`,
        `ecs:StopTask on ${arn('ecs', 'task/prod/*')}`,
        `ecs:DescribeTasks on ${arn('ecs', 'task/prod/*')}`,
        'ecs:ListTasks on *',
        'iam:PassRole on arn:aws:iam::222222222222:role/shop-task',
        'iam:PassRole on arn:aws:iam::222222222222:role/shop-execution',
        ...['events:DescribeRule', 'events:PutRule', 'events:PutTargets'].map(
          (action) => `${action} on ${arn('events', 'rule/StepFunctionsGetEventsForECSTaskRule')}`,
        ),
      ].sort(),
    );
    for (const action of ['ecs:RunTask', 'ecs:StopTask', 'ecs:DescribeTasks', 'ecs:ListTasks']) {
      expect(new Set(conditionOf('fargate', action).map((one) => JSON.stringify(one)))).toEqual(
        new Set([JSON.stringify(ON_CLUSTER)]),
      );
    }
    expect(conditionOf('fargate', 'iam:PassRole')).toEqual([
      { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
    ]);
  });

  test('may run only the configured revision, and pass no role if the task definition has none', () => {
    const permissions = permissionsOfRunner('ec2');

    expect(permissions).toContain(`ecs:RunTask on ${arn('ecs', 'task-definition/shop-migrate:7')}`);
    expect(permissions.filter((permission) => permission.startsWith('iam:'))).toEqual([]);
  });
});

describe('the runner lambda', () => {
  test('invokes the function with the name of the deploy', () => {
    expect(state('function', 'Run Migrations')).toMatchObject({
      Resource: 'arn:aws:states:::lambda:invoke',
      TimeoutSeconds: 330,
      Next: 'Build Indexes',
      Parameters: {
        FunctionName: 'shop-migrate:live',
        Payload: {
          'deploy.$': '$.deploy',
          'execution.$': '$.execution',
          environment: 'function',
          payload: { schema: 'shop', limit: null },
        },
      },
    });
  });

  test('retries only if Lambda did not start the function', () => {
    const retried = (state('function', 'Run Migrations').Retry ?? []).flatMap((retry) => retry.ErrorEquals);

    expect(retried).toEqual([
      'Lambda.TooManyRequestsException',
      'Lambda.EC2ThrottledException',
      'Lambda.ResourceNotReadyException',
      'Lambda.ResourceConflictException',
      'Lambda.ENILimitReachedException',
    ]);
  });

  test('may invoke only this alias of the function', () => {
    expect(permissionsOfRunner('function')).toEqual([
      `lambda:InvokeFunction on ${arn('lambda', 'function:shop-migrate:live')}`,
    ]);
  });
});

test('without migrations, the window continues with the indexes', () => {
  expect(state('none', 'No Migrations Configured').Next).toBe('Build Indexes');
});

test('AwsSolutions finds only the wildcards for task ids and revisions', () => {
  const found = (name: Name) =>
    new AwsSolutionsChecks(synthesised.app)
      .validateScope(synthesised.stack(name))
      .violations.map(({ ruleName }) =>
        ruleName
          .replaceAll(`-${name}-`, '-ENV-')
          .replaceAll(`/${name}/`, '/ENV/')
          .replace(/\{.*\}/, '{…}'),
      );
  const before = found('none');

  expect([...new Set(found('fargate').filter((rule) => !before.includes(rule)))].sort()).toEqual([
    'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ecs:eu-west-1:222222222222:task-definition/shop-migrate:*]',
    'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ecs:eu-west-1:222222222222:task/prod/*]',
  ]);
  expect(found('function').filter((rule) => !before.includes(rule))).toEqual([]);
});

describe('what asks the task or function of the application what is pending', () => {
  const ASKING = {
    fargate: { ...ecsTaskInput(), services: [] },
    function: { ...lambdaInput(), services: [] },
  };
  let asking: Synthesised;

  beforeAll(async () => {
    const { fargate, function: fn } = ASKING;
    asking = await synthesise({
      fargate: {
        ...fargate,
        migrations: { ...(fargate.migrations as object), pending: { command: ['check'] } } as never,
      },
      function: {
        ...fn,
        migrations: {
          ...(fn.migrations as object),
          pending: { payload: { ask: true }, timeoutMinutes: 1 },
        } as never,
      },
    });
  });
  afterAll(() => asking?.dispose());

  const deployOf = (of: Synthesised, name: string) => definitionsOf(of.template(name), name).deploy;

  test('is a state of deploy before Preflight, whose errors all lead to Preflight', () => {
    for (const name of ['fargate', 'function']) {
      const ask = stateOf(deployOf(asking, name), 'Ask What Is Pending');
      expect(ask.Next).toBe('Preflight');
      expect(ask.Catch?.every(({ Next }) => Next === 'Preflight')).toBe(true);
      expect(ask.TimeoutSeconds).toBe(name === 'fargate' ? 300 : 60);
    }
  });

  test('does not exist without it', () => {
    for (const name of ['fargate', 'function'] as const) {
      expect(Object.keys(deployOf(synthesised, name).States)).not.toContain('Ask What Is Pending');
    }
  });

  test('runs the same task with another command, in the group of the migration tasks', () => {
    const run = stateOf(
      definitionsOf(asking.template('fargate'), 'fargate')['maintenance-window'],
      'Run Migrations',
    );
    const ask = stateOf(deployOf(asking, 'fargate'), 'Ask What Is Pending');
    const { Overrides: overrides, ...own } = ask.Parameters as Record<string, unknown>;
    const { Overrides: _of, ...others } = run.Parameters as Record<string, unknown>;
    expect(own).toEqual(others);
    expect(overrides).toMatchObject({ ContainerOverrides: [{ Command: ['check'] }] });
  });
});
