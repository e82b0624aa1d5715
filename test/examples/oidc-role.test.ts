import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AppRun, runApp } from '../stack/support/run-app.ts';
import { PROJECT_ROOT } from '../stack/support/synthesise.ts';
import { resourcesOfType } from '../stack/support/template-values.ts';

/*
 * The roles of examples/ci for jobs: whom they trust, and what they may do.
 */

let run: AppRun;

beforeAll(async () => {
  run = await runApp(join(PROJECT_ROOT, 'examples/ci/app.ts'));
});
afterAll(() => run?.dispose());

test('the app is synthesised without an account', () => {
  expect([run.exitCode, run.stderr]).toEqual([0, '']);
  expect(run.stacks.toSorted()).toEqual(['example-github-role', 'example-gitlab-role']);
});

test.each([
  [
    'example-github-role',
    'https://token.actions.githubusercontent.com',
    {
      'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
      'token.actions.githubusercontent.com:sub': [
        'repo:example/app:ref:refs/heads/main',
        'repo:example/app:environment:prod',
      ],
    },
  ],
  [
    'example-gitlab-role',
    'https://gitlab.com',
    {
      'gitlab.com:aud': 'https://gitlab.com',
      'gitlab.com:sub': ['project_path:example/app:ref_type:branch:ref:main'],
    },
  ],
])('%s trusts the tokens of one branch only', (stack, url, conditions) => {
  const template = run.template(stack);
  const [[id, provider] = ['', undefined]] = resourcesOfType(template, 'AWS::IAM::OIDCProvider');
  const [[, role] = ['', undefined], ...others] = resourcesOfType(template, 'AWS::IAM::Role');

  expect(provider?.Properties.Url).toBe(url);
  expect(others).toEqual([]);
  expect(role?.Properties.AssumeRolePolicyDocument).toEqual({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRoleWithWebIdentity',
        Principal: { Federated: { 'Fn::GetAtt': [id, 'Arn'] } },
        Condition: { StringEquals: conditions },
      },
    ],
  });
});

test.each(['example-github-role', 'example-gitlab-role'])(
  '%s may start the deploys of one environment, and describe those of jobs, and nothing else',
  (stack) => {
    const template = run.template(stack);
    const policies = resourcesOfType(template, 'AWS::IAM::Policy').map(
      ([, { Properties: properties }]) => properties.PolicyDocument as { Statement: unknown[] },
    );
    const arn = (rest: string) => ({
      'Fn::Join': [
        '',
        [
          ...['arn:', { Ref: 'AWS::Partition' }, ':states:', { Ref: 'AWS::Region' }, ':'],
          ...[{ Ref: 'AWS::AccountId' }, rest],
        ],
      ],
    });

    expect(policies.flatMap(({ Statement: statements }) => statements)).toEqual([
      {
        Effect: 'Allow',
        Action: 'states:StartExecution',
        Resource: arn(':stateMachine:pg-deploy-step-prod-deploy'),
      },
      {
        Effect: 'Allow',
        Action: 'states:DescribeExecution',
        Resource: arn(':execution:pg-deploy-step-prod-deploy:ci-*'),
      },
    ]);
    expect(JSON.stringify(resourcesOfType(template, 'AWS::IAM::Role'))).not.toContain('ManagedPolicyArns');
  },
);
