import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { App, Duration, Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalAws } from '../../lib/local/aws/local-aws.ts';
import { LocalEngine } from '../../lib/local/engine.ts';
import { LambdaHost } from '../../lib/local/lambda-host.ts';
import { readStack, type SynthesisedStack } from '../../lib/local/read-stack.ts';
import type { Template } from '../../lib/local/template-references.ts';

let folder: string;
let stack: SynthesisedStack;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
  const code = await mkdtemp(path.join(folder, 'code-'));
  await writeFile(
    path.join(code, 'index.mjs'),
    'export const handler = (event) => ({ event, parent: process.env.PARENT, region: process.env.WHERE });',
  );
  const outdir = path.join(folder, 'cdk.out');
  const app = new App({ outdir });
  const scope = new Stack(app, 'demo');
  const topic = new sns.Topic(scope, 'Topic', { topicName: 'alerts' });
  const fn = new lambda.Function(scope, 'Work', {
    functionName: 'demo-work',
    runtime: lambda.Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: lambda.Code.fromAsset(code),
    timeout: Duration.minutes(2),
    environment: { PARENT: 'demo-parent', WHERE: `${scope.region}/${scope.account}/${topic.topicArn}` },
  });
  const child = new sfn.StateMachine(scope, 'Child', {
    definitionBody: sfn.DefinitionBody.fromChainable(
      new tasks.LambdaInvoke(scope, 'Work Hard', {
        lambdaFunction: fn.currentVersion,
        outputPath: '$.Payload',
      }),
    ),
  });
  new sfn.StateMachine(scope, 'Parent', {
    stateMachineName: 'demo-parent',
    definitionBody: sfn.DefinitionBody.fromChainable(
      new tasks.StepFunctionsStartExecution(scope, 'Start Child', {
        stateMachine: child,
        integrationPattern: sfn.IntegrationPattern.RUN_JOB,
        input: sfn.TaskInput.fromObject({ greeting: 'hello' }),
        outputPath: '$.Output',
      }).next(
        new tasks.SnsPublish(scope, 'Publish', {
          topic,
          subject: 'Done',
          message: sfn.TaskInput.fromJsonPathAt('$.event.greeting'),
          resultPath: '$.published',
        }),
      ),
    ),
  });
  app.synth();
  const template = JSON.parse(await readFile(path.join(outdir, 'demo.template.json'), 'utf8')) as Template;
  stack = readStack(template, outdir);
});
afterAll(() => rm(folder, { recursive: true }));

test('readStack replaces references with local ARNs', () => {
  expect(stack.functions).toEqual([
    {
      name: 'demo-work',
      logicalId: expect.stringMatching(/^Work/),
      arn: 'arn:aws:lambda:eu-west-1:000000000000:function:demo-work',
      directory: expect.stringContaining(path.join(folder, 'cdk.out', 'asset.')),
      handler: 'index.handler',
      variables: {
        PARENT: 'demo-parent',
        WHERE: 'eu-west-1/000000000000/arn:aws:sns:eu-west-1:000000000000:alerts',
      },
      timeoutSeconds: 120,
      version: { number: 1, isRetained: false },
    },
  ]);
  expect(stack.topicArns).toEqual(['arn:aws:sns:eu-west-1:000000000000:alerts']);
  expect(stack.machines.map(({ name }) => name)).toEqual([expect.stringMatching(/^Child/), 'demo-parent']);
  expect(stack.machines[0]?.definition.States['Work Hard']).toMatchObject({
    Resource: 'arn:aws:states:::lambda:invoke',
    Parameters: { FunctionName: 'arn:aws:lambda:eu-west-1:000000000000:function:demo-work:1' },
  });
  expect(stack.machines[1]?.definition.States['Start Child']).toMatchObject({
    Resource: 'arn:aws:states:::states:startExecution.sync:2',
    Parameters: { StateMachineArn: stack.machines[0]?.arn },
  });
});

test('the local engine runs a synthesised stack', async () => {
  const lambdas = new LambdaHost({ functions: stack.functions });
  const aws = new LocalAws({ stateFile: path.join(folder, 'aws.json'), topicArns: stack.topicArns });
  try {
    const engine = new LocalEngine({ machines: stack.machines, lambdas, aws });
    const result = await engine.start('demo-parent').result;
    expect(result).toMatchObject({ status: 'SUCCEEDED', output: { event: { greeting: 'hello' } } });
    expect(aws.state.sns.messages).toMatchObject([{ Subject: 'Done', Message: 'hello' }]);
  } finally {
    await lambdas.close();
    await aws.close();
  }
});

const machine = (DefinitionString: unknown): Template => ({
  Resources: {
    Machine: { Type: 'AWS::StepFunctions::StateMachine', Properties: { DefinitionString } },
    Queue: { Type: 'AWS::SQS::Queue' },
  },
});

test('readStack fills in the variables of Fn::Sub', () => {
  const definition = {
    'Fn::Sub': [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are CloudFormation's
      '{"StartAt":"A","States":{"A":{"Type":"Pass","Result":"${AWS::Region} ${own} ${Machine.Arn} ${!kept}","End":true}}}',
      { own: { Ref: 'AWS::AccountId' } },
    ],
  };
  expect(readStack(machine(definition), folder).machines[0]?.definition.States.A?.Result).toBe(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are CloudFormation's
    'eu-west-1 000000000000 arn:aws:states:eu-west-1:000000000000:stateMachine:Machine ${kept}',
  );
});

describe('readStack reports', () => {
  test.each([
    [
      'a reference to a resource of another type',
      { Ref: 'Queue' },
      'Machine refers to Queue (AWS::SQS::Queue)',
    ],
    [
      'a reference to a resource that does not exist',
      { Ref: 'Gone' },
      'Machine refers to Gone, which does not exist',
    ],
    [
      'an unknown attribute',
      { 'Fn::GetAtt': ['Machine', 'CreationDate'] },
      'Machine refers to Machine.CreationDate',
    ],
    ['an unknown intrinsic function', { 'Fn::ImportValue': 'x' }, 'Machine uses Fn::ImportValue'],
  ])('%s', (_what, definition, message) => {
    expect(() => readStack(machine(definition), folder)).toThrow(message);
  });

  test('code that is missing from the assets', () => {
    const template = {
      Resources: { Fn: { Type: 'AWS::Lambda::Function', Properties: { Code: { S3Key: 'gone.zip' } } } },
    };
    expect(() => readStack(template, folder)).toThrow('do not contain the code of Fn');
  });
});
