import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LocalAws } from '../../lib/local/aws/local-aws.ts';
import { type EngineEvent, LocalEngine } from '../../lib/local/engine.ts';
import { LambdaHost } from '../../lib/local/lambda-host.ts';
import { eventually } from '../support/waits.ts';

const BUNDLE = `
  import { setTimeout as pause } from 'node:timers/promises';
  import { appendFile, readFile } from 'node:fs/promises';
  async function count(key) {
    await appendFile(process.env.COUNTS + '/' + key, 'x');
    return (await readFile(process.env.COUNTS + '/' + key, 'utf8')).length;
  }
  export async function handler(event) {
    if (event.key !== undefined) {
      const times = await count(event.key);
      if (times <= (event.failures ?? 0)) throw Object.assign(new Error('not yet'), { name: event.error ?? 'Flaky' });
      return { times };
    }
    if (event.error !== undefined) throw Object.assign(new Error('as asked'), { name: event.error });
    if (event.ms !== undefined) await pause(event.ms);
    if (event.bytes !== undefined) return 'x'.repeat(event.bytes);
    return event;
  }`;

const INVOKE = 'arn:aws:states:::lambda:invoke';
const START = 'arn:aws:states:::states:startExecution.sync:2';
const arnOf = (name: string) => `arn:aws:states:eu-west-1:000000000000:stateMachine:${name}`;
const call = (payload: object, more: object = {}) => ({
  Type: 'Task',
  Resource: INVOKE,
  Parameters: { FunctionName: 'arn:aws:lambda:eu-west-1:000000000000:function:Demo', Payload: payload },
  ResultSelector: { 'answer.$': '$.Payload' },
  ...('Next' in more ? {} : { End: true }),
  ...more,
});

let folder: string;
let lambdas: LambdaHost;
let aws: LocalAws;
let events: EngineEvent[];
let nextKey = 0;
const newKey = () => `key-${nextKey++}`;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
  await writeFile(path.join(folder, 'index.mjs'), BUNDLE);
  lambdas = new LambdaHost({
    functions: [
      {
        name: 'Demo',
        directory: folder,
        handler: 'index.handler',
        variables: { COUNTS: folder },
        timeoutSeconds: 60,
        version: { number: 7, isRetained: true },
      },
    ],
  });
  aws = new LocalAws({ stateFile: path.join(folder, 'state.json') });
});
afterAll(async () => {
  await lambdas.close();
  await aws.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  events = [];
});

type States = Record<string, { Type: string; [field: string]: unknown }>;

function engineOf(machines: Record<string, States>, limits: object = {}): LocalEngine {
  return new LocalEngine({
    machines: Object.entries(machines).map(([name, states]) => ({
      name,
      arn: arnOf(name),
      definition: { StartAt: Object.keys(states)[0] ?? '', States: states, ...limits },
    })),
    lambdas,
    aws,
    onEvent: (event) => events.push(event),
  });
}

function run(states: States, input: unknown = {}) {
  return engineOf({ Main: states }).start('Main', input).result;
}

async function untilEntered(state: string): Promise<void> {
  await eventually(() => events.some((event) => event.type === 'StateEntered' && event.state === state)).toBe(
    true,
  );
}

const eventLines = () => events.map(({ type, state }) => (state === null ? type : `${type} ${state}`));

describe('a Task state', () => {
  test('invokes the function, and ResultSelector selects from its answer', async () => {
    const states = { Call: call({ 'a.$': '$.a' }, { ResultPath: '$.result' }) };
    expect(await run(states, { a: 1 })).toEqual({
      status: 'SUCCEEDED',
      output: { a: 1, result: { answer: { a: 1 } } },
    });
  });

  test('can have the ARN of a function as its Resource', async () => {
    const states = {
      Call: { Type: 'Task', Resource: 'arn:aws:lambda:eu-west-1:000000000000:function:Demo:7', End: true },
    };
    expect(await run(states, { a: 1 })).toEqual({ status: 'SUCCEEDED', output: { a: 1 } });
  });

  test('is retried on the errors that Retry names', async () => {
    const Retry = [{ ErrorEquals: ['Flaky'], IntervalSeconds: 1, MaxAttempts: 5, BackoffRate: 1 }];
    const states = { Call: call({ key: newKey(), failures: 2 }, { Retry }) };
    expect(await run(states)).toEqual({ status: 'SUCCEEDED', output: { answer: { times: 3 } } });
    expect(events.filter(({ type }) => type === 'StateRetried').map(({ attempt }) => attempt)).toEqual([
      1, 2,
    ]);
  });

  test('is not retried on other errors', async () => {
    const key = newKey();
    const Retry = [{ ErrorEquals: ['Flaky'], IntervalSeconds: 1 }];
    const result = await run({ Call: call({ key, failures: 1, error: 'BuildFailed' }, { Retry }) });
    expect(result).toMatchObject({ status: 'FAILED', error: 'BuildFailed' });
    expect(JSON.parse(result.cause ?? '')).toMatchObject({
      errorType: 'BuildFailed',
      errorMessage: 'not yet',
    });
  });

  test('passes a caught error on as Error and Cause', async () => {
    const Catch = [{ ErrorEquals: ['States.TaskFailed'], ResultPath: '$.failure', Next: 'Done' }];
    const states = {
      Call: call({ error: 'BuildFailed' }, { Catch }),
      Done: { Type: 'Succeed' },
    };
    const { output } = (await run(states, { a: 1 })) as {
      output: { a: number; failure: Record<string, string> };
    };
    expect(output.a).toBe(1);
    expect(output.failure.Error).toBe('BuildFailed');
    expect(JSON.parse(output.failure.Cause ?? '')).toMatchObject({ errorMessage: 'as asked' });
  });

  test('has no default timeout, and fails with States.Timeout after its TimeoutSeconds', async () => {
    const Catch = [{ ErrorEquals: ['States.Timeout'], Next: 'Late' }];
    const states = {
      Call: call({ ms: 60_000 }, { TimeoutSeconds: 1, Catch }),
      Late: { Type: 'Pass', Result: 'late', End: true },
    };
    expect(await run(states)).toEqual({ status: 'SUCCEEDED', output: 'late' });
  });

  test('calls the local AWS services', async () => {
    const states = {
      Save: {
        Type: 'Task',
        Resource: 'arn:aws:states:::aws-sdk:ssm:putParameter',
        Parameters: { Name: '/engine/test', Value: '2', Type: 'String', Overwrite: false },
        End: true,
      },
    };
    expect(await run(states)).toMatchObject({ status: 'SUCCEEDED', output: { Version: 1 } });
    expect(await run(states)).toMatchObject({
      status: 'FAILED',
      error: 'Ssm.ParameterAlreadyExistsException',
    });
  });
});

describe('payloads', () => {
  test('over 256 KiB fail with States.DataLimitExceeded, which States.ALL does not catch', async () => {
    const Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Caught' }];
    const states = { Call: call({ bytes: 300_000 }, { Catch }), Caught: { Type: 'Succeed' } };
    expect(await run(states)).toMatchObject({ status: 'FAILED', error: 'States.DataLimitExceeded' });
  });

  test('over 256 KiB are caught by name', async () => {
    const Catch = [{ ErrorEquals: ['States.DataLimitExceeded'], Next: 'Caught' }];
    const states = {
      Call: call({ bytes: 300_000 }, { Catch }),
      Caught: { Type: 'Pass', Result: 'caught', End: true },
    };
    expect(await run(states)).toEqual({ status: 'SUCCEEDED', output: 'caught' });
  });

  test('cannot grow over 256 KiB by collecting results', async () => {
    const step = (Next: string) => call({ bytes: 100_000 }, { ResultPath: `$.${Next}`, Next });
    const states = { One: step('Two'), Two: step('Three'), Three: step('Four'), Four: { Type: 'Succeed' } };
    expect(await run(states)).toMatchObject({ status: 'FAILED', error: 'States.DataLimitExceeded' });
    expect(eventLines()).not.toContain('StateEntered Four');
  });

  test('under 256 KiB pass', async () => {
    expect(await run({ Call: call({ bytes: 200_000 }) })).toMatchObject({ status: 'SUCCEEDED' });
  });
});

describe('nested executions', () => {
  const nested = (more: object = {}) => ({
    Type: 'Task',
    Resource: START,
    Parameters: {
      StateMachineArn: arnOf('Child'),
      Input: { 'a.$': '$.a' },
      'Name.$': "States.Format('{}-child', $$.Execution.Name)",
    },
    End: true,
    ...more,
  });

  test('return their output as JSON', async () => {
    const engine = engineOf({ Main: { Start: nested() }, Child: { Call: call({ 'b.$': '$.a' }) } });
    const result = await engine.start('Main', { a: 1 }, { name: 'first' }).result;
    expect(result).toMatchObject({
      status: 'SUCCEEDED',
      output: {
        ExecutionArn: 'arn:aws:states:eu-west-1:000000000000:execution:Child:first-child',
        Name: 'first-child',
        StateMachineArn: arnOf('Child'),
        Status: 'SUCCEEDED',
        Input: { a: 1 },
        Output: { answer: { b: 1 } },
      },
    });
    const child = events.find(({ machine }) => machine === 'Child');
    expect(child).toMatchObject({ execution: 'first-child', parent: expect.stringMatching(/:Main:first$/) });
  });

  test('that fail are caught as States.TaskFailed, with their description as Cause', async () => {
    const Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Caught' }];
    const engine = engineOf({
      Main: { Start: nested({ Catch }), Caught: { Type: 'Succeed' } },
      Child: { Stop: { Type: 'Fail', Error: 'Refused', CausePath: "States.Format('it is {}', $.a)" } },
    });
    const { output } = (await engine.start('Main', { a: 1 }).result) as {
      output: { Error: string; Cause: string };
    };
    expect(output.Error).toBe('States.TaskFailed');
    expect(JSON.parse(output.Cause)).toMatchObject({
      Status: 'FAILED',
      Error: 'Refused',
      Cause: 'it is 1',
      Input: '{"a":1}',
      StateMachineArn: arnOf('Child'),
    });
  });

  test('that fail at a wrong path fail the parent with an error that it can catch', async () => {
    const Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Caught' }];
    const engine = engineOf({
      Main: { Start: nested({ Catch }), Caught: { Type: 'Succeed' } },
      Child: { Read: { Type: 'Pass', InputPath: '$.missing', End: true } },
    });
    const { output } = (await engine.start('Main', { a: 1 }).result) as { output: { Cause: string } };
    expect(JSON.parse(output.Cause)).toMatchObject({ Status: 'FAILED', Error: 'States.Runtime' });
  });

  test('that are not waited for continue after the abort of the execution that started them', async () => {
    const detached = {
      ...{ Type: 'Task', Resource: 'arn:aws:states:::states:startExecution' },
      ...{ Parameters: { StateMachineArn: arnOf('Child'), Input: { a: 2 } }, ResultPath: '$.started' },
    };
    const engine = engineOf({
      Main: { Start: { ...detached, Next: 'Stay' }, Stay: { Type: 'Wait', Seconds: 600, End: true } },
      Child: { Pause: { Type: 'Wait', Seconds: 1, Next: 'End' }, End: { Type: 'Succeed' } },
    });
    const execution = engine.start('Main', { a: 1 });
    await untilEntered('Stay');
    execution.abort();

    expect(await execution.result).toEqual({ status: 'ABORTED' });
    await untilEntered('End');
    const { input } = events.find(({ state }) => state === 'Stay') ?? {};
    expect(input).toMatchObject({ started: { ExecutionArn: expect.stringContaining(':execution:Child:') } });
    await eventually(() => events.some(({ type }) => type === 'ExecutionSucceeded')).toBe(true);
  });

  test('that time out fail the parent with the status TIMED_OUT', async () => {
    const Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Caught' }];
    const engine = new LocalEngine({
      machines: [
        {
          name: 'Main',
          arn: arnOf('Main'),
          definition: { StartAt: 'Start', States: { Start: nested({ Catch }), Caught: { Type: 'Succeed' } } },
        },
        {
          name: 'Child',
          arn: arnOf('Child'),
          definition: {
            StartAt: 'Pause',
            TimeoutSeconds: 1,
            States: { Pause: { Type: 'Wait', Seconds: 60, End: true } },
          },
        },
      ],
      lambdas,
      aws,
    });
    const { output } = (await engine.start('Main', { a: 1 }).result) as { output: { Cause: string } };
    expect(JSON.parse(output.Cause)).toMatchObject({ Status: 'TIMED_OUT', Error: 'States.Timeout' });
  });

  test('are aborted when the state that waits for them times out', async () => {
    const engine = engineOf({
      Main: { Start: nested({ TimeoutSeconds: 1 }) },
      Child: { Pause: { Type: 'Wait', Seconds: 600, End: true } },
    });
    expect(await engine.start('Main', { a: 1 }).result).toMatchObject({ error: 'States.Timeout' });
    await eventually(eventLines).toContain('ExecutionAborted');
  });

  test('cannot have a name that was used before', async () => {
    const engine = engineOf({ Main: { Done: { Type: 'Succeed' } } });
    await engine.start('Main', {}, { name: 'once' }).result;
    expect(() => engine.start('Main', {}, { name: 'once' })).toThrow('Execution Already Exists');
  });
});

describe('Map', () => {
  const map = (states: States, more: object = {}) => ({
    Type: 'Map',
    ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, StartAt: Object.keys(states)[0], States: states },
    End: true,
    ...more,
  });

  test('runs maps inside maps and keeps the order of the items', async () => {
    const states = {
      Lanes: map(
        {
          Indexes: map(
            {
              Build: call(
                { 'index.$': '$.index', 'lane.$': '$.lane', 'number.$': '$.number' },
                { OutputPath: '$.answer' },
              ),
            },
            {
              ItemsPath: '$.indexes',
              MaxConcurrency: 1,
              ItemSelector: {
                'index.$': '$$.Map.Item.Value',
                'number.$': '$$.Map.Item.Index',
                'lane.$': '$.table',
              },
            },
          ),
        },
        { ItemsPath: '$.lanes' },
      ),
    };
    const lanes = [
      { table: 'deals', indexes: ['a', 'b'] },
      { table: 'leads', indexes: ['c'] },
      { table: 'none', indexes: [] },
    ];
    const { output } = await run(states, { lanes });
    expect(output).toEqual([
      [
        { index: 'a', lane: 'deals', number: 0 },
        { index: 'b', lane: 'deals', number: 1 },
      ],
      [{ index: 'c', lane: 'leads', number: 0 }],
      [],
    ]);
    const built = events.filter(({ type, state }) => type === 'StateExited' && state === 'Build');
    expect(
      built.map(({ within }) => within.map(({ state, index }) => `${state} ${index}`).join(', ')).sort(),
    ).toEqual(['Lanes 0, Indexes 0', 'Lanes 0, Indexes 1', 'Lanes 1, Indexes 0']);
  });

  test('gives every iteration the context of its execution, with the input', async () => {
    const states = {
      Each: map(
        {
          Show: {
            Type: 'Pass',
            Parameters: {
              'name.$': '$$.Execution.Name',
              'input.$': '$$.Execution.Input.wanted',
              'item.$': '$$.Map.Item.Value',
              'machine.$': '$$.StateMachine.Name',
              'entered.$': '$$.State.EnteredTime',
              'text.$': "States.Format('{}', $$.Execution.Id)",
            },
            End: true,
          },
        },
        { ItemsPath: '$.items' },
      ),
    };
    const execution = engineOf({ Main: states }).start(
      'Main',
      { wanted: 'all', items: [7] },
      { name: 'shown' },
    );
    expect((await execution.result).output).toEqual([
      {
        name: 'shown',
        input: 'all',
        item: 7,
        machine: 'Main',
        entered: expect.stringMatching(/^\d{4}-.*Z$/),
        text: execution.arn,
      },
    ]);
  });

  test('fails with the error of an iteration and starts no further iterations', async () => {
    const key = newKey();
    const states = {
      Each: map(
        { Call: call({ key, failures: 1, error: 'BuildFailed' }) },
        { MaxConcurrency: 1, Catch: [{ ErrorEquals: ['BuildFailed'], Next: 'Count' }] },
      ),
      Count: call({ key }),
    };
    expect(await run(states, [1, 2, 3, 4])).toEqual({
      status: 'SUCCEEDED',
      output: { answer: { times: 2 } },
    });
  });

  test('aborts the other iterations when one fails, without a retry', async () => {
    const Retry = [{ ErrorEquals: ['Flaky'], IntervalSeconds: 300, MaxAttempts: 9 }];
    const states = {
      Each: map(
        {
          Which: {
            Type: 'Choice',
            Choices: [{ Variable: '$.n', NumericEquals: 0, Next: 'Pause' }],
            Default: 'Wait For It',
          },
          'Wait For It': call({ key: newKey(), failures: 99 }, { Retry }),
          Pause: { Type: 'Wait', Seconds: 2, Next: 'Break' },
          Break: { Type: 'Fail', Error: 'Broken' },
        },
        { Catch: [{ ErrorEquals: ['Broken'], Next: 'After' }] },
      ),
      After: { Type: 'Wait', Seconds: 1, End: true },
    };
    expect(await run(states, [{ n: 0 }, { n: 1 }])).toMatchObject({
      status: 'SUCCEEDED',
      output: { Error: 'Broken' },
    });
    const flaky = events.filter(({ type, error }) => type === 'StateFailed' && error === 'Flaky');
    expect(flaky).toHaveLength(1);
    expect(eventLines()).toContain('MapIterationAborted Each');
  });
});

describe('an aborted execution', () => {
  test('aborts its nested executions and enters no further state', async () => {
    const engine = engineOf({
      Main: {
        Start: {
          Type: 'Task',
          Resource: START,
          Parameters: { StateMachineArn: arnOf('Child') },
          Catch: [{ ErrorEquals: ['States.ALL'], Next: 'After' }],
          Next: 'After',
        },
        After: { Type: 'Succeed' },
      },
      Child: {
        Call: call({ ms: 30_000 }, { Next: 'Later' }),
        Later: { Type: 'Succeed' },
      },
    });
    const execution = engine.start('Main');
    await untilEntered('Call');
    execution.abort();
    expect(await execution.result).toEqual({ status: 'ABORTED' });
    await eventually(eventLines).toEqual(expect.arrayContaining(['ExecutionAborted', 'ExecutionAborted']));
    await eventually(() => eventLines().filter((line) => line === 'ExecutionAborted')).toHaveLength(2);
    expect(eventLines()).not.toContain('StateEntered After');
    expect(eventLines()).not.toContain('StateEntered Later');
  });

  test('is not retried when it is aborted during the wait before a retry', async () => {
    const Retry = [{ ErrorEquals: ['Flaky'], IntervalSeconds: 300, MaxAttempts: 9 }];
    const engine = engineOf({ Main: { Call: call({ key: newKey(), failures: 99 }, { Retry }) } });
    const execution = engine.start('Main');
    await eventually(eventLines).toContain('StateFailed Call');
    const before = lambdas.invocations.length;
    execution.abort();
    expect(await execution.result).toEqual({ status: 'ABORTED' });
    expect(lambdas.invocations.length).toBe(before);
  });

  test('is the result of every running execution when the engine is closed', async () => {
    const engine = engineOf({ Main: { Pause: { Type: 'Wait', Seconds: 600, End: true } } });
    const executions = [engine.start('Main'), engine.start('Main')];
    await engine.close();
    expect(await Promise.all(executions.map(({ result }) => result))).toEqual([
      { status: 'ABORTED' },
      { status: 'ABORTED' },
    ]);
  });

  test('can be aborted before its first state', async () => {
    const execution = engineOf({ Main: { Done: { Type: 'Succeed' } } }).start('Main');
    execution.abort();
    expect(await execution.result).toEqual({ status: 'ABORTED' });
  });
});

test('the events of an execution and of its nested execution come in order', async () => {
  const engine = engineOf({
    Main: {
      Start: { Type: 'Task', Resource: START, Parameters: { StateMachineArn: arnOf('Child') }, Next: 'Done' },
      Done: { Type: 'Succeed' },
    },
    Child: { Pause: { Type: 'Wait', Seconds: 1, End: true } },
  });
  await engine.start('Main').result;
  expect(events.map(({ machine, type, state }) => `${machine} ${type} ${state ?? ''}`.trim())).toEqual([
    'Main ExecutionStarted',
    'Main StateEntered Start',
    'Child ExecutionStarted',
    'Child StateEntered Pause',
    'Child StateExited Pause',
    'Child ExecutionSucceeded',
    'Main StateExited Start',
    'Main StateEntered Done',
    'Main StateExited Done',
    'Main ExecutionSucceeded',
  ]);
});

test('Parallel gives every branch the input and collects the outputs', async () => {
  const branch = (n: number) => ({
    StartAt: `Call ${n}`,
    States: { [`Call ${n}`]: call({ n, 'a.$': '$.a' }) },
  });
  const states = { Both: { Type: 'Parallel', Branches: [branch(1), branch(2)], End: true } };
  expect(await run(states, { a: 5 })).toEqual({
    status: 'SUCCEEDED',
    output: [{ answer: { n: 1, a: 5 } }, { answer: { n: 2, a: 5 } }],
  });
});

test('a Result of 0 and the ResultPath $ mean what they mean in AWS', async () => {
  const states = {
    None: { Type: 'Pass', Result: 0, ResultPath: '$.count', Next: 'All' },
    All: call({ 'a.$': '$.count' }, { ResultPath: '$' }),
  };
  expect(await run(states)).toEqual({ status: 'SUCCEEDED', output: { answer: { a: 0 } } });
});

describe('templates', () => {
  const fill = async (Parameters: object, input: unknown = {}) => {
    const result = await run({ Fill: { Type: 'Pass', Parameters, End: true } }, input);
    return result.status === 'SUCCEEDED' ? result.output : result;
  };

  test('keep quotes, backslashes and line breaks in text', async () => {
    const value = { text: 'say "no" to C:\\ and\nmore' };
    const filled = (await fill(
      { 'json.$': 'States.JsonToString($)', 'text.$': "States.Format('<{}>', $.text)" },
      value,
    )) as {
      json: string;
      text: string;
    };
    expect(JSON.parse(filled.json)).toEqual(value);
    expect(filled.text).toBe(`<${value.text}>`);
  });

  test('a path that can find several values gives an empty list when it finds none', async () => {
    const parameters = { 'all.$': '$.list[*].n', 'bad.$': "States.ArrayContains($.list[*].n, 'bad')" };
    expect(await fill(parameters, { list: [] })).toEqual({ all: [], bad: false });
    expect(await fill(parameters, { list: [{ n: 'bad' }] })).toEqual({ all: ['bad'], bad: true });
  });

  test('fail the execution when a path finds no value', async () => {
    expect(await fill({ 'a.$': '$.missing' })).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
  });

  test('keep 0, null, false and empty text', async () => {
    const input = { zero: 0, none: null, no: false, empty: '' };
    const parameters = { 'zero.$': '$.zero', 'none.$': '$.none', 'no.$': '$.no', 'empty.$': '$.empty' };
    expect(await fill(parameters, input)).toEqual(input);
  });

  test.each([
    ["States.Format('it\\'s \\{\\} {}, {}', 7, $.name)", "it's {} 7, deals, 31"],
    ["States.Format('{}/{}', States.ArrayLength($.list), States.Format('{}', null))", '3/null'],
    ['States.StringToJson(\'{"a": [1]}\')', { a: [1] }],
    ["States.Array($.name, 'b, c', 2, true)", ['deals, 31', 'b, c', 2, true]],
    ['States.ArrayGetItem($.list, 1)', 2],
    ['States.ArrayPartition($.list, 2)', [[1, 2], [2]]],
    ['States.ArrayRange(1, 7, 3)', [1, 4, 7]],
    ['States.ArrayUnique($.list)', [1, 2]],
    ["States.JsonMerge($.one, $['two words'], false)", { a: 1, b: 2 }],
    ['States.MathAdd($.list[0], -3)', -2],
    ["States.StringSplit('a,b;c', ',;')", ['a', 'b', 'c']],
    ['States.ArrayLength($.many[?(@.n > 1)])', 1],
  ])('%s', async (expression, expected) => {
    const input = {
      name: 'deals, 31',
      list: [1, 2, 2],
      one: { a: 1 },
      'two words': { b: 2 },
      many: [{ n: 1 }, { n: 2 }],
    };
    expect(await fill({ 'value.$': expression }, input)).toEqual({ value: expected });
  });

  test.each([
    "States.Format('{} {}', 1)",
    "States.Format('{}', $)",
    "States.StringToJson('{')",
    'States.MathAdd($$.Execution.Name, 2)',
    'States.ArrayGetItem($, 1)',
  ])('%s fails with States.IntrinsicFailure', async (expression) => {
    expect(await fill({ 'value.$': expression })).toMatchObject({ error: 'States.IntrinsicFailure' });
  });
});

describe('the engine refuses', () => {
  const cases: Record<string, [States, string]> = {
    'a Resource that no local service supports': [
      { Stop: { Type: 'Task', Resource: 'arn:aws:states:::aws-sdk:ec2:stopInstances', End: true } },
      'The state machine Main cannot run here. The state "Stop" calls arn:aws:states:::aws-sdk:ec2:stopInstances, which',
    ],
    JSONata: [
      { Set: { Type: 'Pass', QueryLanguage: 'JSONata', End: true } },
      'States.Set.QueryLanguage: JSONata; the local engine supports it in Task states only',
    ],
    variables: [{ Set: { Type: 'Pass', Assign: { a: 1 }, End: true } }, 'Assign'],
    'a distributed Map': [
      {
        Each: {
          Type: 'Map',
          ItemProcessor: {
            ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
            StartAt: 'Done',
            States: { Done: { Type: 'Succeed' } },
          },
          End: true,
        },
      },
      'ProcessorConfig.Mode: DISTRIBUTED; the local engine supports INLINE only',
    ],
    'a definition that is not valid': [{ Pass: { Type: 'Pass', Next: 'Nowhere' } }, 'Nowhere'],
    'an intrinsic function that it does not support': [
      { Set: { Type: 'Pass', Parameters: { 'text.$': "States.Hash($.a, 'MD5')" }, End: true } },
      'calls States.Hash, which the local engine does not support',
    ],
  };
  test.each(Object.entries(cases))('%s', (_name, [states, message]) => {
    expect(() => engineOf({ Main: states })).toThrow(message);
  });

  test('a state machine that does not exist', () => {
    const engine = engineOf({ Main: { Done: { Type: 'Succeed' } } });
    expect(() => engine.start('Other')).toThrow(
      'State machine does not exist: "Other". Machines here: Main.',
    );
  });
});
