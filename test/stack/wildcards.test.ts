import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { MACHINES } from './support/definitions.ts';
import { FORCED_WILDCARDS, type ForcedWildcard, forcedWildcardOf } from './support/forced-wildcards.ts';
import { hasWildcard, iamMatches, permissionsIn } from './support/iam-matcher.ts';
import { type AppRun, runApp } from './support/run-app.ts';
import {
  ecsTaskInput,
  ecsTaskOnEc2Input,
  everyKindInput,
  lambdaInput,
  PROJECT_ROOT,
  type Synthesised,
  synthesise,
} from './support/synthesise.ts';
import { resourcesOf, statementsIn } from './support/template-values.ts';

const KMS_KEY = 'arn:aws:kms:eu-west-1:222222222222:key/99999999-2222-3333-4444-555555555555';

/** An environment for each migration runner, with a service of each kind and every option that changes permissions. */
const ENVIRONMENTS = {
  prod: {
    ...everyKindInput(),
    logs: { kmsKeyArn: KMS_KEY, executionData: true },
    drain: { roles: ['app'] },
    alarms: true,
    alerts: { kmsKeyArn: KMS_KEY },
  },
  task: ecsTaskInput(),
  ec2: ecsTaskOnEc2Input(),
  fn: lambdaInput(),
};

let synthesised: Synthesised;

beforeAll(async () => {
  synthesised = await synthesise(ENVIRONMENTS);
});
afterAll(() => synthesised?.dispose());

const namesOf = (environment: string) => ({
  environment,
  ...{ cluster: 'prod', family: 'shop-migrate', machines: MACHINES, functions: FUNCTIONS },
});

describe('IAM patterns', () => {
  test.each([
    ['*', 'anything:at/all', true],
    ['arn:aws:states:::execution:a-build*', 'arn:aws:states:::execution:a-build:run', true],
    ['arn:aws:states:::execution:a-build*', 'arn:aws:states:::execution:a-build-2:run', true],
    ['arn:aws:states:::execution:a-build:*', 'arn:aws:states:::execution:a-build-2:run', false],
    ['arn:aws:ecs:::service/a/?pi', 'arn:aws:ecs:::service/a/api', true],
    ['arn:aws:ecs:::service/a/?pi', 'arn:aws:ecs:::service/a/pi', false],
    ['arn:aws:ecs:::service/a.b/api', 'arn:aws:ecs:::service/axb/api', false],
    ['rule/shop/order+placed', 'rule/shop/order+placed', true],
    ['rule/shop', 'rule/shop/order', false],
  ])('%s covers %s: %s', (pattern, value, expected) => {
    expect(iamMatches(pattern, value)).toBe(expected);
  });
});

test.each(Object.keys(ENVIRONMENTS))(
  'the stack %s has no wildcard that AWS does not make necessary',
  (name) => {
    const wildcards = permissionsIn(synthesised.template(name)).filter(hasWildcard);

    expect(wildcards.length).toBeGreaterThan(20);
    const unexpected = wildcards.filter(
      (permission) => forcedWildcardOf(permission, namesOf(name)) === undefined,
    );
    expect(unexpected.map(({ action, resource }) => `${action} on ${resource}`)).toEqual([]);
  },
);

test('a new wildcard is found', () => {
  for (const [action, resource] of [
    [
      'states:DescribeExecution',
      'arn:aws:states:eu-west-1:222222222222:execution:pg-deploy-step-prod-deploy*',
    ],
    ['ecs:UpdateService', '*'],
    ['ssm:GetParameter', 'arn:aws:ssm:eu-west-1:222222222222:parameter/pg-deploy-step/prod*'],
  ] as const) {
    const permission = { action, resource, condition: undefined };
    expect(hasWildcard(permission)).toBe(true);
    expect(forcedWildcardOf(permission, namesOf('prod'))).toBeUndefined();
  }
});

test('every accepted wildcard is in use, and docs/security.md gives its reason', () => {
  const used = new Set<ForcedWildcard | undefined>(
    Object.keys(ENVIRONMENTS).flatMap((name) =>
      permissionsIn(synthesised.template(name)).map((permission) =>
        forcedWildcardOf(permission, namesOf(name)),
      ),
    ),
  );
  const page = readFileSync(join(PROJECT_ROOT, 'docs/security.md'), 'utf8').replaceAll(/\s+/g, ' ');

  expect(FORCED_WILDCARDS.filter((forced) => !used.has(forced))).toEqual([]);
  expect(FORCED_WILDCARDS.map(({ reason }) => reason).filter((reason) => !page.includes(reason))).toEqual([]);
  const actions = FORCED_WILDCARDS.flatMap((forced) => forced.actions);
  expect(actions.filter((action) => !page.includes(`\`${action}\``))).toEqual([]);
});

test('scaling can be changed only for desired counts of ECS services', () => {
  const registering = permissionsIn(synthesised.template('prod')).filter(({ action }) =>
    /^application-autoscaling:(?!Describe)/.test(action),
  );

  expect(new Set(registering.map(({ action }) => action))).toEqual(
    new Set(['application-autoscaling:RegisterScalableTarget']),
  );
  for (const { condition } of registering) {
    expect(condition).toEqual({
      StringEquals: {
        'application-autoscaling:service-namespace': 'ecs',
        'application-autoscaling:scalable-dimension': 'ecs:service:DesiredCount',
      },
    });
  }
});

test('no policy uses NotAction, NotResource or NotPrincipal', () => {
  for (const name of Object.keys(ENVIRONMENTS)) {
    expect(JSON.stringify(resourcesOf(synthesised.template(name)))).not.toMatch(
      /"Not(Action|Resource|Principal)"/,
    );
  }
});

test('a role can be passed only to one service, by its exact ARN', () => {
  const passes = ['prod', 'task', 'ec2', 'fn'].flatMap((name) =>
    statementsIn(synthesised.template(name)).filter(({ Action: actions }) =>
      actions.includes('iam:PassRole'),
    ),
  );

  const role = (name: string) => `arn:aws:iam::222222222222:role/${name}`;
  const statements = passes.map(({ Resource: roles, Condition: condition }) => {
    const { StringEquals: equals } = condition as { StringEquals: Record<string, string> };
    expect(Object.keys(equals)).toEqual(['iam:PassedToService']);
    return `${equals['iam:PassedToService']} ${roles.join(' ')}`;
  });
  expect([...new Set(statements)].toSorted()).toEqual(
    [
      `ecs-tasks.amazonaws.com ${role('shop-task')} ${role('shop-execution')}`,
      // By the maintenance window for all schedules, and by start-services for each.
      `scheduler.amazonaws.com ${role('invoices')}`,
      `scheduler.amazonaws.com ${role('path/export')}`,
    ].toSorted(),
  );
});

test('a service can assume a role only for this account, or for a resource that only this account can create', () => {
  const trusts = Object.keys(ENVIRONMENTS).flatMap((name) =>
    statementsIn(synthesised.template(name)).filter(({ Action: actions }) =>
      actions.includes('sts:AssumeRole'),
    ),
  );
  const conditions = trusts.map(
    ({ Principal: principal, Condition: condition }) =>
      `${(principal as { Service: string }).Service} ${JSON.stringify(condition ?? null)}`,
  );
  const rule = (name: string, environment: string) =>
    `arn:aws:events:eu-west-1:222222222222:rule/pg-deploy-step-${environment}-${name}`;
  const events = Object.keys(ENVIRONMENTS).map(
    (environment) =>
      `events.amazonaws.com ${JSON.stringify({
        StringEquals: { 'aws:SourceAccount': '222222222222' },
        ArnEquals: {
          'aws:SourceArn': ['recovery', 'reconcile', 'stack-updated'].map((name) => rule(name, environment)),
        },
      })}`,
  );

  expect([...new Set(conditions)].sort()).toEqual(
    [
      // IAM passes no role to a function of another account, and AWS documents no source condition for Lambda.
      'lambda.amazonaws.com null',
      `states.amazonaws.com ${JSON.stringify({
        ArnLike: { 'aws:SourceArn': 'arn:aws:states:eu-west-1:222222222222:stateMachine:*' },
        StringEquals: { 'aws:SourceAccount': '222222222222' },
      })}`,
      ...events,
    ].sort(),
  );
});

test('no resource policy lets a service or another account in', () => {
  for (const name of Object.keys(ENVIRONMENTS)) {
    const resources = Object.values(resourcesOf(synthesised.template(name)));
    const types = new Set(resources.map(({ Type: type }) => type));
    for (const type of [
      'AWS::Lambda::Permission',
      'AWS::KMS::Key',
      'AWS::SQS::QueuePolicy',
      'AWS::S3::BucketPolicy',
    ]) {
      expect(types).not.toContain(type);
    }
    const open = statementsIn(synthesised.template(name)).filter(
      ({ Effect: effect, Principal: principal }) =>
        effect === 'Allow' &&
        principal !== undefined &&
        (principal as { Service?: string }).Service === undefined,
    );
    expect(open).toEqual([]);
  }
});

/** What the constructs of aws-cdk-lib write into the policies of the example pipelines. */
const OF_AWS_CDK_LIB: readonly { pattern: RegExp; reason: string }[] = [
  {
    pattern: /^s3:.* on \{Pipeline\w*Bucket\w*\.Arn\}(\/\*)?$/,
    reason: 'the objects in the artifact bucket of the pipeline',
  },
  {
    pattern: /^logs:\w+ on .*:log-group:\/aws\/codebuild\/\{\w+\}:\*$/,
    reason: 'log streams of one project',
  },
  {
    pattern: /^states:DescribeExecution on .*:execution:pg-deploy-step-dev-deploy:pipeline\*$/,
    reason: 'CodePipeline generates the rest of the name of the execution',
  },
  {
    pattern: /^codebuild:\w+ on .*:report-group\/(\{\w+\}-)?\*$/,
    reason: 'CDK Pipelines, projects of its own',
  },
  { pattern: /^codebuild:\w+ on \*$/, reason: 'CDK Pipelines, assets' },
  { pattern: /^logs:\w+ on .*:log-group:\/aws\/codebuild\/\*$/, reason: 'CDK Pipelines, assets' },
  {
    pattern: /^sts:AssumeRole on arn:\*:iam::\d+:role\/\*$/,
    reason: 'CDK Pipelines, with a condition on the tag',
  },
  {
    pattern: /^(cloudformation:DescribeStacks|s3:ListBucket) on \*$/,
    reason: 'CDK Pipelines, self-mutation',
  },
  {
    pattern: /^kms:(ReEncrypt|GenerateDataKey)\* on \{Pipeline\w*EncryptionKey\w*\.Arn\}$/,
    reason: 'the key of the artifact bucket, for actions in other accounts',
  },
  {
    pattern: /^kms:(\*|Decrypt|DescribeKey) on \*$/,
    reason: 'the policy of that key, whose resource is the key itself',
  },
];

describe('the example pipelines', () => {
  let example: AppRun;
  beforeAll(async () => {
    example = await runApp(join(PROJECT_ROOT, 'examples/pipeline/app.ts'));
  });
  afterAll(() => example?.dispose());

  test.each([
    ['example-code-pipeline', 4],
    ['example-hold', 4],
    ['example-plan-approval', 4],
    ['example-cdk-pipelines', 10],
  ])('%s has only the wildcards of aws-cdk-lib', (stack, kinds) => {
    const wildcards = allowedIn(example.template(stack).toJSON().Resources).filter((text) =>
      /[*?]/.test(text),
    );
    const patterns = OF_AWS_CDK_LIB.filter(({ pattern }) => wildcards.some((text) => pattern.test(text)));

    expect(wildcards.filter((text) => !OF_AWS_CDK_LIB.some(({ pattern }) => pattern.test(text)))).toEqual([]);
    expect(patterns.length).toBeLessThanOrEqual(kinds);
  });

  test('CodePipeline may assume only the roles of the bootstrap stack of this account and region', () => {
    const roles = allowedIn(example.template('example-code-pipeline').toJSON().Resources).filter((text) =>
      /^sts:AssumeRole on .*:role\//.test(text),
    );
    expect([...new Set(roles)].sort()).toEqual(
      ['deploy', 'file-publishing', 'lookup'].map(
        (role) =>
          `sts:AssumeRole on arn:{AWS::Partition}:iam::111111111111:role/cdk-hnb659fds-${role}-role-111111111111-eu-west-1`,
      ),
    );
  });
});

/** Every "ACTION on RESOURCE" that a template allows, with `{Name}` and `{Name.Attribute}` in place of references. */
function allowedIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(allowedIn);
  const { Effect: effect, Action: action, Resource: resource } = value as Record<string, unknown>;
  if (effect !== 'Allow' || resource === undefined) return inner;
  const texts = [action]
    .flat()
    .flatMap((one) => [resource].flat().map((on) => `${String(one)} on ${rendered(on)}`));
  return [...texts, ...inner];
}

function rendered(value: unknown): string {
  if (typeof value === 'string') return value;
  const [[key, argument] = ['', undefined]] = Object.entries(value as Record<string, unknown>);
  if (key === 'Ref') return `{${String(argument)}}`;
  if (key === 'Fn::GetAtt') return `{${(argument as string[]).join('.')}}`;
  if (key === 'Fn::Sub') return String(argument).replaceAll('${', '{');
  if (key === 'Fn::Join') return (argument as [string, unknown[]])[1].map(rendered).join('');
  throw new Error(`The intrinsic function ${key} is not known.`);
}
