import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Artifact, Pipeline } from 'aws-cdk-lib/aws-codepipeline';
import { CodeStarConnectionsSourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { CodePipeline, CodePipelineSource, ShellStep } from 'aws-cdk-lib/pipelines';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { DeployStepAction } from '../../lib/pipeline/deploy-step-action.ts';
import { PipelineDeployStep } from '../../lib/pipeline/pipeline-deploy-step.ts';
import { type AppRun, runApp } from './support/run-app.ts';
import { PROJECT_ROOT } from './support/synthesise.ts';
import { resourcesOfType, statementsIn } from './support/template-values.ts';

interface Action {
  Name: string;
  RunOrder: number;
  RoleArn?: unknown;
  Namespace?: string;
  ActionTypeId: { Category: string; Provider: string };
  Configuration: Record<string, unknown>;
}

function stagesOf(template: Template): { Name: string; Actions: Action[] }[] {
  const [[, pipeline] = ['', undefined]] = resourcesOfType(template, 'AWS::CodePipeline::Pipeline');
  return pipeline?.Properties.Stages as { Name: string; Actions: Action[] }[];
}

function stepsOf(template: Template): Action[] {
  return stagesOf(template)
    .flatMap((stage) => stage.Actions)
    .filter((action) => action.ActionTypeId.Provider === 'StepFunctions');
}

/** The permissions for Step Functions of all roles in the template, in the account of the example. */
function statesPermissions(template: Template): string[] {
  const inAccount = (resource: string) => resource.replace(/^arn:aws:states:eu-west-1:111111111111:/, '');
  return statementsIn(template)
    .filter((statement) => statement.Action.some((action) => action.startsWith('states:')))
    .flatMap(({ Action: actions, Resource: resources }) =>
      actions.flatMap((action) => resources.map((resource) => `${action} on ${inAccount(resource)}`)),
    )
    .sort();
}

describe('the example', () => {
  let run: AppRun;

  beforeAll(async () => {
    run = await runApp(join(PROJECT_ROOT, 'examples/pipeline/app.ts'));
  });
  afterAll(() => run?.dispose());

  test('synthesises all pipelines without an account, and no stack of the CDK in another account', () => {
    expect(run.stderr).not.toMatch(/Error|[Ww]arning/);
    expect(run.exitCode).toBe(0);
    expect(run.stacks.sort()).toEqual([
      'example-cdk-pipelines',
      'example-code-pipeline',
      'example-hold',
      'example-plan-approval',
    ]);
  });

  test('starts the deploy machine after the stack is deployed, with a literal input', () => {
    const template = run.template('example-code-pipeline');
    const [source, deploy, ...others] = stagesOf(template);

    expect(others).toEqual([]);
    expect(source?.Actions.map((action) => action.ActionTypeId.Provider)).toEqual([
      'CodeStarSourceConnection',
    ]);
    expect(deploy?.Actions.map((action) => [action.Name, action.RunOrder])).toEqual([
      ['Deploy-Stack', 1],
      ['Deploy-Step', 2],
      ['Deploy-Application', 3],
    ]);
    const [step] = stepsOf(template);
    expect(step?.ActionTypeId).toMatchObject({ Category: 'Invoke', Provider: 'StepFunctions' });
    expect(step?.Configuration).toMatchObject({
      Input: '{"mode":"deploy"}',
      InputType: 'Literal',
      ExecutionNamePrefix: 'pipeline',
    });
    expect(JSON.stringify(step?.Configuration.StateMachineArn)).toContain(
      ':states:eu-west-1:111111111111:stateMachine:pg-deploy-step-dev-deploy',
    );
  });

  test('holds the services for the deployment of the application', () => {
    const actions = stagesOf(run.template('example-hold')).flatMap((stage) => stage.Actions);

    expect(
      actions.map(({ Name: name, RunOrder: order, Configuration: { Input: input } }) => [name, order, input]),
    ).toEqual([
      ['Source', 1, undefined],
      ['Deploy-Stack', 1, undefined],
      ['Deploy-Step-Hold', 2, '{"start":"hold"}'],
      ['Deploy-Application', 3, undefined],
      ['Deploy-Step-Start-Services', 4, '{"mode":"start-services"}'],
    ]);
  });

  test('asks for the approval of a plan before the deploy', () => {
    const actions = stagesOf(run.template('example-plan-approval')).flatMap((stage) => stage.Actions);

    expect(
      actions.map(({ Name: name, RunOrder: order, Namespace: namespace }) => [name, order, namespace]),
    ).toEqual([
      ['Source', 1, undefined],
      ['Deploy-Stack', 1, undefined],
      ['Deploy-Step-Plan', 2, 'plan-dev-execution'],
      ['Deploy-Step-Summary', 3, 'plan-dev'],
      ['Deploy-Step-Approve', 4, undefined],
      ['Deploy-Step', 5, undefined],
      ['Deploy-Application', 6, undefined],
    ]);
    expect(actions[4]?.Configuration).toEqual({
      CustomData: 'Deploy to dev: #{plan-dev.Summary}',
      ExternalEntityLink:
        'https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/#{plan-dev-execution.ExecutionArn}',
    });
  });

  test.each(['example-code-pipeline', 'example-hold', 'example-cdk-pipelines'])(
    'the step of %s may start that machine and describe the executions that it started, and nothing else in Step Functions',
    (stack) => {
      expect([...new Set(statesPermissions(run.template(stack)))]).toEqual([
        'states:DescribeExecution on execution:pg-deploy-step-dev-deploy:pipeline*',
        'states:DescribeStateMachine on stateMachine:pg-deploy-step-dev-deploy',
        'states:StartExecution on stateMachine:pg-deploy-step-dev-deploy',
      ]);
    },
  );

  test('CDK Pipelines deploys the stack, then starts its machine by name', () => {
    const template = run.template('example-cdk-pipelines');
    const stage = stagesOf(template).find(({ Name: name }) => name === 'dev');
    const [step] = stepsOf(template);

    expect(stage?.Actions.map((action) => action.Name)).toEqual([
      'pg-deploy-step-dev.Prepare',
      'pg-deploy-step-dev.Deploy',
      'Deploy-Step',
    ]);
    expect(stage?.Actions.map((action) => action.RunOrder)).toEqual([1, 2, 3]);
    expect(step?.Configuration).toMatchObject({ Input: '{}', InputType: 'Literal' });
    expect(JSON.stringify(step?.Configuration.StateMachineArn)).toContain(
      'stateMachine:pg-deploy-step-dev-deploy',
    );
  });
});

test('a deploy in another account is started there, with a role of that account', () => {
  const app = new App({ outdir: mkdtempSync(join(inject('runFolder'), 'pipeline-')) });
  const stack = new Stack(app, 'Pipelines', { env: { account: '111111111111', region: 'eu-west-1' } });
  const output = new Artifact();
  new Pipeline(stack, 'Pipeline', {
    crossAccountKeys: true,
    stages: [
      {
        stageName: 'Source',
        actions: [
          new CodeStarConnectionsSourceAction({
            actionName: 'Source',
            connectionArn: 'arn:aws:codeconnections:eu-west-1:111111111111:connection/1',
            owner: 'example',
            repo: 'app',
            output,
          }),
        ],
      },
      {
        stageName: 'Deploy',
        actions: [
          new DeployStepAction(stack, 'ProdMachine', {
            actionName: 'Deploy-Step',
            environmentName: 'prod',
            account: '222222222222',
            input: { mode: 'indexes', indexes: ['idx_companies_tenant'] },
          }),
        ],
      },
    ],
  });
  const [step] = stepsOf(Template.fromStack(stack));

  expect(JSON.stringify(step?.Configuration.StateMachineArn)).toContain(
    ':states:eu-west-1:222222222222:stateMachine:pg-deploy-step-prod-deploy',
  );
  expect(step?.Configuration.Input).toBe('{"mode":"indexes","indexes":["idx_companies_tenant"]}');
  expect(JSON.stringify(step?.RoleArn)).toContain(':iam::222222222222:role/');
});

test('the exports can be imported with the name of the package', async () => {
  const exported = await import('pg-deploy-step');

  expect(Object.keys(exported).sort()).toEqual([
    'CompileError',
    'ConfigurationError',
    'DeployStep',
    'DeployStepAction',
    'DeployStepStack',
    'EnvironmentStack',
    'PipelineDeployStep',
    'PipelinePlanApproval',
    'PipelineRole',
    'PlanApproval',
    'RegistryError',
    'defineIndexes',
    'loadRegistry',
    'machineNamesOf',
    'parseEnvironments',
  ]);
});

describe('a deploy around the deployment of the application', () => {
  const env = { account: '111111111111', region: 'eu-west-1' };
  const source = () =>
    CodePipelineSource.connection('example/app', 'main', {
      connectionArn: 'arn:aws:codeconnections:eu-west-1:111111111111:connection/1',
    });
  const inputsOf = (template: Template) =>
    stepsOf(template).map(({ Name: name, RunOrder: order, Configuration: { Input: input } }) => [
      ...[name, order, input],
    ]);

  test('is two actions of a CodePipeline, with room for the deployment between them', () => {
    const stack = new Stack(newApp(), 'Pipelines', { env });
    const { hold, startServices } = DeployStepAction.pair(stack, 'Prod', {
      ...{ actionName: 'Deploy-Step', environmentName: 'prod', runOrder: 2, input: { force: true } },
    });
    const action = new CodeStarConnectionsSourceAction({
      ...{ actionName: 'Source', owner: 'example', repo: 'app', output: new Artifact() },
      connectionArn: 'arn:aws:codeconnections:eu-west-1:111111111111:connection/1',
    });
    new Pipeline(stack, 'Pipeline', {
      stages: [
        { stageName: 'Source', actions: [action] },
        { stageName: 'Deploy', actions: [hold, startServices] },
      ],
    });

    expect(inputsOf(Template.fromStack(stack))).toEqual([
      ['Deploy-Step-Hold', 2, '{"force":true,"start":"hold"}'],
      ['Deploy-Step-Start-Services', 4, '{"mode":"start-services"}'],
    ]);
  });

  test('is two steps of CDK Pipelines, before and after the stage of the application', () => {
    const app = newApp();
    const stack = new Stack(app, 'Pipelines', { env });
    const pipeline = new CodePipeline(stack, 'Pipeline', {
      synth: new ShellStep('Synth', { input: source(), commands: ['npx cdk synth'] }),
    });
    const application = new Stage(stack, 'Application', { env });
    new Topic(new Stack(application, 'Shop'), 'Topic');
    const { hold, startServices } = PipelineDeployStep.pair('Deploy-Step', { environmentName: 'prod' });
    pipeline.addStage(application, { pre: [hold], post: [startServices] });
    pipeline.buildPipeline();

    expect(inputsOf(Template.fromStack(stack))).toEqual([
      ['Deploy-Step-Hold', 1, '{"start":"hold"}'],
      ['Deploy-Step-Start-Services', 4, '{"mode":"start-services"}'],
    ]);
  });

  test('names revisions by variables of the pipeline', () => {
    const stack = new Stack(newApp(), 'Pipelines', { env });
    const action = (taskDefinitions: Record<string, string>) =>
      new DeployStepAction(stack, JSON.stringify(taskDefinitions), {
        ...{ actionName: 'Deploy-Step', environmentName: 'prod', input: { taskDefinitions } },
      });

    action({ api: 'api:#{Build.REVISION}', worker: '#{Build.WORKER}', mailer: 'mailer:42' });
    expect(() => action({ api: 'api:#{Build.REVISION}', worker: 'worker' })).toThrow(
      'taskDefinitions must be like {"api": "api:42"}',
    );
  });

  test('is refused at synth with a mode that stops no services', () => {
    const stack = new Stack(newApp(), 'Pipelines', { env });

    expect(() =>
      DeployStepAction.pair(stack, 'Prod', {
        ...{ actionName: 'Deploy-Step', environmentName: 'prod', input: { mode: 'indexes' } },
      }),
    ).toThrow('start must be at-once, or missing, with the mode indexes');
  });

  function newApp(): App {
    return new App({ outdir: mkdtempSync(join(inject('runFolder'), 'pipeline-')) });
  }
});
