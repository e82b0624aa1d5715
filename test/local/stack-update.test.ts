import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import * as tasks from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { LocalEngine } from '../../lib/local/engine.ts';
import { LambdaHost } from '../../lib/local/lambda-host.ts';
import { PublishedVersions } from '../../lib/local/published-versions.ts';
import { readStack, type SynthesisedStack } from '../../lib/local/read-stack.ts';

/*
 * What an update of a stack does to executions that are running, as in AWS: they keep their definition, but the role that
 * they use, the functions that they invoke and the children that they start are those of the new stack, unless versions are
 * retained and the role allows them.
 */

let folder: string;
let versions: PublishedVersions;
let synthesised = 0;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(() => {
  versions = new PublishedVersions();
});

interface Generation {
  /** What the function and the child return. */
  text: string;
  /** The role may invoke all versions of the function. */
  allVersions?: boolean;
  /** The versions remain after an update. */
  retain?: boolean;
  /** The child is started by its version. */
  childByVersion?: boolean;
}

/** A parent that waits, invokes a version of a function, and starts a child. */
async function generation({ text, ...options }: Generation): Promise<SynthesisedStack> {
  synthesised += 1;
  const outdir = path.join(folder, `cdk.out.${synthesised}`);
  const code = await mkdtemp(path.join(folder, 'code-'));
  await writeFile(path.join(code, 'index.mjs'), `export const handler = () => '${text}';`);
  const app = new App({ outdir, analyticsReporting: false });
  const stack = new Stack(app, 'demo');
  const removalPolicy = options.retain === true ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
  const fn = new lambda.Function(stack, 'Work', {
    functionName: 'work',
    runtime: lambda.Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: lambda.Code.fromAsset(code),
    currentVersionOptions: { removalPolicy },
  });
  const child = new sfn.StateMachine(stack, 'Child', {
    stateMachineName: 'child',
    definitionBody: sfn.DefinitionBody.fromChainable(
      new sfn.Pass(stack, 'Answer', { result: sfn.Result.fromString(text) }),
    ),
  });
  const version = new sfn.CfnStateMachineVersion(stack, 'ChildVersion', {
    stateMachineArn: child.stateMachineArn,
    stateMachineRevisionId: child.stateMachineRevisionId,
  });
  version.applyRemovalPolicy(removalPolicy);
  const parent = new sfn.StateMachine(stack, 'Parent', {
    stateMachineName: 'parent',
    definitionBody: sfn.DefinitionBody.fromChainable(
      new sfn.Wait(stack, 'Wait', { time: sfn.WaitTime.timestampPath('$.until') })
        .next(
          new tasks.LambdaInvoke(stack, 'Invoke', {
            lambdaFunction: fn.currentVersion,
            resultSelector: { 'text.$': '$.Payload' },
            resultPath: '$.function',
            retryOnServiceExceptions: false,
          }),
        )
        .next(
          new sfn.CustomState(stack, 'Start', {
            stateJson: {
              Type: 'Task',
              Resource: 'arn:aws:states:::states:startExecution.sync:2',
              Parameters: {
                StateMachineArn: options.childByVersion === true ? version.ref : child.stateMachineArn,
              },
              ResultSelector: { 'text.$': '$.Output' },
              ResultPath: '$.child',
            },
          }),
        ),
    ),
  });
  child.grantStartExecution(parent);
  if (options.allVersions === true) fn.grantInvoke(parent);
  return readStack(app.synth().getStackByName('demo').template, outdir, versions);
}

const opened: LambdaHost[] = [];
afterEach(async () => {
  for (const lambdas of opened.splice(0)) await lambdas.close();
});

/** Starts the parent, updates the stack while it waits, and returns its end. */
async function runDuringUpdate(before: SynthesisedStack, after: SynthesisedStack) {
  const lambdas = new LambdaHost({ functions: before.functions });
  opened.push(lambdas);
  const { promise: waiting, resolve } = Promise.withResolvers<void>();
  const aws = { supports: () => false, call: () => Promise.reject(new Error('no other call')) };
  const engine = new LocalEngine({
    ...{ machines: before.machines, lambdas, aws },
    onEvent: ({ state }) => {
      if (state === 'Wait') resolve();
    },
  });
  const until = new Date(Date.now() + 1500).toISOString();
  const execution = engine.start('parent', { until });
  await waiting;
  lambdas.update(after.functions);
  engine.update(after.machines);
  const during = await execution.result;
  const { result } = engine.start('parent', { until });
  return { during, later: await result };
}

test('after the update, the role allows only the new version of the function', async () => {
  const { during, later } = await runDuringUpdate(
    await generation({ text: 'old', retain: true }),
    await generation({ text: 'new', retain: true }),
  );

  expect(during).toMatchObject({
    ...{ status: 'FAILED', error: 'Lambda.AWSLambdaException' },
    cause: expect.stringContaining(
      'not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:eu-west-1:000000000000:function:work:1',
    ),
  });
  expect(later).toMatchObject({ status: 'SUCCEEDED', output: { function: { text: 'new' } } });
});

test('a version that is not retained is deleted', async () => {
  const { during } = await runDuringUpdate(
    await generation({ text: 'old', allVersions: true }),
    await generation({ text: 'new', allVersions: true }),
  );

  expect(during).toMatchObject({ status: 'FAILED', error: 'Lambda.ResourceNotFoundException' });
});

test('a child that is started by the ARN of its state machine runs the new definition', async () => {
  const options = { allVersions: true, retain: true };
  const { during } = await runDuringUpdate(
    await generation({ text: 'old', ...options }),
    await generation({ text: 'new', ...options }),
  );

  expect(during).toMatchObject({
    status: 'SUCCEEDED',
    output: { function: { text: 'old' }, child: { text: 'new' } },
  });
});

test('a child that is started by its version runs the definition of that version, if the version is retained', async () => {
  const options = { allVersions: true, childByVersion: true };
  const retained = await runDuringUpdate(
    await generation({ text: 'old', retain: true, ...options }),
    await generation({ text: 'new', retain: true, ...options }),
  );

  expect(retained.during).toMatchObject({
    status: 'SUCCEEDED',
    output: { function: { text: 'old' }, child: { text: 'old' } },
  });
  expect(retained.later).toMatchObject({ output: { function: { text: 'new' }, child: { text: 'new' } } });
});

test('a version of a state machine that is not retained is deleted', async () => {
  const before = await generation({ text: 'old', allVersions: true, childByVersion: true, retain: true });
  const machines = before.machines.map((machine) =>
    machine.version === undefined
      ? machine
      : { ...machine, version: { ...machine.version, isRetained: false } },
  );
  const { during } = await runDuringUpdate(
    { ...before, machines },
    await generation({ text: 'new', allVersions: true, childByVersion: true, retain: true }),
  );

  expect(during).toMatchObject({
    status: 'FAILED',
    error: 'StepFunctions.StateMachineDoesNotExistException',
  });
});

test('an update that changes nothing publishes no version', async () => {
  const same = { text: 'same', allVersions: true };
  const numbers = ({ functions, machines }: SynthesisedStack) =>
    [...functions, ...machines].map(({ name, version }) => [name, version?.number]);
  const first = numbers(await generation(same));

  expect(numbers(await generation(same))).toEqual(first);
  expect(first).toEqual([
    ['work', 1],
    ['child', 1],
    ['parent', undefined],
  ]);
});
