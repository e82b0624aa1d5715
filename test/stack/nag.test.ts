import { AwsSolutionsChecks } from 'cdk-nag';
import { expect, test } from 'vitest';
import { everyKindInput, synthesise } from './support/synthesise.ts';

const EXECUTION = 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:eu-west-1:222222222222:execution';

const PARAMETERS =
  'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ssm:eu-west-1:222222222222:parameter/pg-deploy-step/prod';

/** Findings of AwsSolutions that are accepted, with the reason. Every other finding has to be fixed. */
const ACCEPTED: Record<string, string> = {
  'AwsSolutions-IAM5[Resource::*]':
    'IAM supports no narrower resources. test/stack/wildcards.test.ts lists them.',
  'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:application-autoscaling:eu-west-1:222222222222:scalable-target/*]':
    'The ARN of a scalable target ends in an id that is unknown at synth.',
  [`${PARAMETERS}/services/*]`]:
    'A service that is stopped can have another name in the configuration since, or be missing there.',
  [`${PARAMETERS}/incidents/*]`]: 'The recovery records what it did for such a service under its name.',
  [`${EXECUTION}:pg-deploy-step-prod-build-indexes:*]`]:
    'The names of executions are generated when they start.',
  [`${EXECUTION}:pg-deploy-step-prod-maintenance-window:*]`]: 'The same.',
  [`${EXECUTION}:pg-deploy-step-prod-start-services:*]`]: 'The same.',
  [`${EXECUTION}:pg-deploy-step-prod-deploy:*]`]:
    'The recovery checks whether an execution of deploy is still running. Its name is generated when it starts.',
  'AwsSolutions-IAM5[Resource::<Function.Arn>:*]':
    'An execution that started before an update of the stack invokes the versions with which it started.',
};

test('AwsSolutions finds only what is accepted with a reason', async () => {
  const { app, stack, dispose } = await synthesise({ prod: everyKindInput() });
  try {
    const { violations } = new AwsSolutionsChecks(app).validateScope(stack('prod'));

    const rules = violations.map(({ ruleName }) =>
      ruleName.replace(/<Functions[A-Za-z]+[0-9A-F]{8}\.Arn>/, '<Function.Arn>'),
    );
    expect([...new Set(rules)].sort()).toEqual(Object.keys(ACCEPTED).sort());
  } finally {
    dispose();
  }
});
