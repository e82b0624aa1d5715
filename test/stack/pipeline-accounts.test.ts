import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack, Stage } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Artifact } from 'aws-cdk-lib/aws-codepipeline';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { CodePipeline, CodePipelineSource, ShellStep } from 'aws-cdk-lib/pipelines';
import { beforeEach, describe, expect, inject, test } from 'vitest';
import { PipelineDeployStep } from '../../lib/pipeline/pipeline-deploy-step.ts';
import { PipelinePlanApproval } from '../../lib/pipeline/pipeline-plan-approval.ts';
import { PipelineRole } from '../../lib/pipeline/pipeline-role.ts';
import { PlanApproval } from '../../lib/pipeline/plan-approval.ts';
import { resourcesOfType, statementsIn } from './support/template-values.ts';

/*
 * A pipeline of CDK Pipelines in one account, and an environment in another. The self-mutation of the pipeline may deploy into its own
 * account only, so nothing may have to be deployed into the other one before the stage.
 */

const PIPELINE = { account: '111111111111', region: 'eu-west-1' };
const PROD = { account: '222222222222', region: 'eu-central-1' };
const TARGET = { environmentName: 'prod', ...PROD };

let app: App;
let pipelines: Stack;
let pipeline: CodePipeline;

beforeEach(() => {
  app = new App({ outdir: mkdtempSync(join(inject('runFolder'), 'accounts-')) });
  pipelines = new Stack(app, 'Pipelines', { env: PIPELINE });
  pipeline = new CodePipeline(pipelines, 'Pipeline', {
    crossAccountKeys: true,
    synth: new ShellStep('Synth', {
      input: CodePipelineSource.connection('example/app', 'main', {
        connectionArn: 'arn:aws:codeconnections:eu-west-1:111111111111:connection/1',
      }),
      commands: ['npx cdk synth'],
    }),
  });
});

/** A stage in the other account, with a stack. */
function stageOf(): { stage: Stage; stack: Stack } {
  const stage = new Stage(pipelines, 'Prod', { env: PROD });
  const stack = new Stack(stage, 'Environment');
  new Topic(stack, 'Topic');
  return { stage, stack };
}

const roleOf = (stack: Stack, more: { pipelineRoles?: string[] } = {}) =>
  new PipelineRole(stack, 'PipelineRole', {
    environmentName: 'prod',
    pipelineAccount: PIPELINE.account,
    ...more,
  });

interface Action {
  Name: string;
  RoleArn: unknown;
}

const ROLE = 'arn:aws:iam::222222222222:role/pg-deploy-step-prod-pipeline';

/** An ARN with the partition of AWS. */
function arnOf(value: unknown): string {
  const [, parts] = (value as { 'Fn::Join': [string, unknown[]] })['Fn::Join'];
  return parts.map((part) => (typeof part === 'string' ? part : 'aws')).join('');
}

function actionsOf(template: Template): Action[] {
  return resourcesOfType(template, 'AWS::CodePipeline::Pipeline').flatMap(([, { Properties: properties }]) =>
    (properties.Stages as { Actions: Action[] }[]).flatMap((stage) => stage.Actions),
  );
}

/** What the roles of the template may do in Step Functions: actions and resources of each statement. */
function statesPermissions(template: Template): [string[], string[]][] {
  return statementsIn(template)
    .filter(({ Action: names }) => names.some((name) => name.startsWith('states:')))
    .map(({ Action: names, Resource: resources }) => [names, resources]);
}

function assumedRoles(template: Template): string[] {
  return statementsIn(template)
    .filter(({ Action: names }) => names.includes('sts:AssumeRole'))
    .flatMap(({ Resource: resources }) => resources);
}

describe('the role of the environment', () => {
  test('trusts the account of the pipeline, and may only start deploys and describe those of pipelines', () => {
    const { stack } = stageOf();
    roleOf(stack);
    const template = Template.fromStack(stack);
    const [[, role] = ['', undefined], ...others] = resourcesOfType(template, 'AWS::IAM::Role');

    expect(others).toEqual([]);
    expect(role?.Properties).toMatchObject({
      RoleName: 'pg-deploy-step-prod-pipeline',
      AssumeRolePolicyDocument: { Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole' }] },
    });
    expect(role?.Properties).not.toHaveProperty('ManagedPolicyArns');
    // Beside the trust.
    expect(statementsIn(template).length).toBe(3);
    expect(JSON.stringify(role?.Properties.AssumeRolePolicyDocument)).toContain(':iam::111111111111:root');
    expect(statesPermissions(template)).toEqual([
      [
        ['states:StartExecution', 'states:DescribeStateMachine'],
        ['arn:aws:states:eu-central-1:222222222222:stateMachine:pg-deploy-step-prod-deploy'],
      ],
      [
        ['states:DescribeExecution'],
        ['arn:aws:states:eu-central-1:222222222222:execution:pg-deploy-step-prod-deploy:pipeline*'],
      ],
    ]);
  });

  test('can trust certain roles of that account only', () => {
    const { stack } = stageOf();
    roleOf(stack, { pipelineRoles: ['arn:aws:iam::111111111111:role/Pipelines-*'] });

    Template.fromStack(stack).hasResourceProperties('AWS::IAM::Role', {
      AssumeRolePolicyDocument: {
        Statement: [
          Match.objectLike({
            Condition: { ArnLike: { 'aws:PrincipalArn': ['arn:aws:iam::111111111111:role/Pipelines-*'] } },
          }),
        ],
      },
    });
  });
});

describe('the step', () => {
  test('assumes that role, so the CDK makes no stack in the other account', () => {
    const { stage, stack } = stageOf();
    roleOf(stack);
    pipeline.addStage(stage, { post: [new PipelineDeployStep('Deploy-Step', TARGET)] });
    pipeline.buildPipeline();
    const template = Template.fromStack(pipelines);

    expect(arnOf(actionsOf(template).find(({ Name: name }) => name === 'Deploy-Step')?.RoleArn)).toBe(ROLE);
    expect(assumedRoles(template)).toContain(ROLE);
    expect(pipelines.dependencies.map(({ account }) => account)).not.toContain(PROD.account);
    // A region of its own has a bucket of its own, which is in the account of the pipeline.
    const others = app.node.children.filter((one) => one !== pipelines && Stack.isStack(one)) as Stack[];
    expect(others.map(({ account }) => account)).not.toContain(PROD.account);
    expect(Annotations.fromStack(pipelines).findWarning('*', Match.stringLikeRegexp('PipelineRole'))).toEqual(
      [],
    );
  });

  test('causes a warning if the app has no such role', () => {
    const { stage } = stageOf();
    pipeline.addStage(stage, { post: [new PipelineDeployStep('Deploy-Step', TARGET)] });
    pipeline.buildPipeline();

    Annotations.fromStack(pipelines).hasWarning(
      '*',
      Match.stringLikeRegexp('No PipelineRole of the environment prod in the account 222222222222'),
    );
  });
});

describe('an approval of a plan', () => {
  test('assumes that role for the plan, and for its summary', () => {
    const { stage, stack } = stageOf();
    roleOf(stack);
    const input = CodePipelineSource.connection('example/other', 'main', {
      connectionArn: 'arn:aws:codeconnections:eu-west-1:111111111111:connection/1',
    });
    const approval = new PipelinePlanApproval('Deploy-Step', { ...TARGET, input });
    const deploy = new PipelineDeployStep('Deploy-Step', TARGET);
    deploy.addStepDependency(approval);
    pipeline.addStage(stage, { post: [deploy, approval] });
    pipeline.buildPipeline();
    const template = Template.fromStack(pipelines);

    const actions = actionsOf(template).filter(({ Name: name }) => name.startsWith('Deploy-Step'));
    expect(actions.map(({ Name: name }) => name)).toEqual([
      ...['Deploy-Step-Plan', 'Deploy-Step-Summary', 'Deploy-Step-Approve', 'Deploy-Step'],
    ]);
    expect([actions[0], actions[3]].map((action) => arnOf(action?.RoleArn))).toEqual([ROLE, ROLE]);
    // The project of CodeBuild and the pipeline.
    expect(assumedRoles(template).filter((arn) => arn === ROLE).length).toBe(2);
    template.hasResourceProperties('AWS::CodeBuild::Project', {
      Description: 'Reads the summary of a plan of pg-deploy-step',
      Environment: { EnvironmentVariables: [{ Name: 'ROLE_ARN', Type: 'PLAINTEXT' }] },
    });
    expect(statesPermissions(template)).toEqual([]);
  });

  test('needs an input that has files', () => {
    expect(() => new PipelinePlanApproval('Deploy-Step', { ...TARGET, input: {} })).toThrow(
      'Deploy-Step: the input of PipelinePlanApproval has no output. Give the source of the pipeline or its synth step.',
    );
  });

  test('in the account of the pipeline, the project may describe the executions of pipelines', () => {
    const stack = new Stack(app, 'Other', { env: PIPELINE });
    const { summary } = new PlanApproval(stack, 'Plan', {
      ...{ actionName: 'Deploy-Step', environmentName: 'dev' },
      input: new Artifact(),
    });

    expect(summary).toBe('#{plan-dev.Summary}');
    expect(statesPermissions(Template.fromStack(stack))).toEqual([
      [
        ['states:DescribeExecution'],
        ['arn:aws:states:eu-west-1:111111111111:execution:pg-deploy-step-dev-deploy:pipeline*'],
      ],
    ]);
  });
});
