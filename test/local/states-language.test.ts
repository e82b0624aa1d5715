import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { choose } from '../../lib/local/engine/choice.ts';
import type { Retrier, State } from '../../lib/local/engine/definition.ts';
import { retryDelaySeconds } from '../../lib/local/engine/interpreter.ts';
import { placeResult, valueAt } from '../../lib/local/engine/paths.ts';
import { type EngineEvent, LocalEngine } from '../../lib/local/engine.ts';

/*
 * What the Amazon States Language says of paths, Choice, Wait, Retry and Catch, without processes: the only function
 * is a callback of the test.
 */

type States = Record<string, { Type: string; [field: string]: unknown }>;

const FUNCTION = 'arn:aws:lambda:eu-west-1:000000000000:function:Demo';

let events: EngineEvent[];
let invoke: (payload: unknown) => unknown;

beforeEach(() => {
  events = [];
  invoke = (payload) => payload;
});
afterEach(() => vi.restoreAllMocks());

function engineOf(states: States, more: object = {}): LocalEngine {
  return new LocalEngine({
    machines: [
      {
        name: 'Main',
        arn: 'arn:aws:states:eu-west-1:000000000000:stateMachine:Main',
        definition: { StartAt: Object.keys(states)[0] ?? '', States: states, ...more },
      },
    ],
    lambdas: {
      functionNames: ['Demo'],
      invoke: async (_name, payload) => invoke(payload),
    },
    aws: { supports: () => false, call: async () => undefined },
    onEvent: (event) => events.push(event),
  });
}

const run = (states: States, input: unknown = {}, more: object = {}) =>
  engineOf(states, more).start('Main', input).result;

const pass = (fields: object, input: unknown) => run({ Pass: { Type: 'Pass', End: true, ...fields } }, input);

/** An Error of a function. */
const failure = (name: string) => Object.assign(new Error(`${name} happened`), { name });

const eventLines = () => events.map(({ type, state }) => (state === null ? type : `${type} ${state}`));

describe('paths', () => {
  const input = {
    a: { 'b.c': 1, "it's": 2, 'two words': { x: 3 }, 'a-b': 4, größe: 5 },
    list: [
      { n: 1, kind: 'x' },
      { n: 2, kind: 'y' },
      { n: 3, kind: 'x' },
    ],
    numbers: [10, 20, 30],
    none: null,
    text: 'text',
    length: 7,
  };

  const found: [path: string, value: unknown][] = [
    ["$.a['b.c']", 1],
    ['$.a["b.c"]', 1],
    ["$['a']['two words'].x", 3],
    ['$.a.a-b', 4],
    ['$.a.größe', 5],
    ['$.numbers[0]', 10],
    ['$.numbers[-1]', 30],
    ['$.numbers[*]', [10, 20, 30]],
    ['$.numbers[0,2]', [10, 30]],
    ['$.numbers[1:]', [20, 30]],
    ['$.list[1].kind', 'y'],
    ['$.list[*].n', [1, 2, 3]],
    ['$..n', [1, 2, 3]],
    ['$.list[?(@.n > 1)].n', [2, 3]],
    ["$.list[?(@.kind == 'x')].n", [1, 3]],
    ["$.list[?(@.kind == 'z')]", []],
    ['$.list[*].missing', []],
    ['$.none', null],
    ['$.length', 7],
    ['$', input],
  ];

  test.each(found)('%s', (path, expected) => {
    expect(valueAt(path, { input, context: {} })).toEqual(expected);
    const ofContext = path.replace('$', () => '$$.Execution.Input');
    expect(valueAt(ofContext, { input: 0, context: { Execution: { Input: input } } })).toEqual(expected);
  });

  test('all of these are accepted in a definition', async () => {
    const Parameters = Object.fromEntries(found.map(([path], at) => [`value ${at}.$`, path]));
    const { output } = await pass({ Parameters }, input);
    expect(Object.values(output as object)).toEqual(found.map(([, value]) => value));
  });

  test.each([
    '$.missing',
    '$.a.missing',
    '$.none.deeper',
    '$.numbers[3]',
    '$.numbers[-4]',
    '$.text.length',
    '$.a[0]',
  ])('%s finds no value, which is States.Runtime', (path) => {
    const message = `The path '${path}' does not lead to a value in the input.`;
    expect(() => valueAt(path, { input, context: {} })).toThrow(
      expect.objectContaining({ name: 'States.Runtime', message }),
    );
  });

  test('InputPath, OutputPath and Parameters fail the execution when they find no value', async () => {
    for (const fields of [
      { InputPath: '$.a[0]' },
      { OutputPath: '$.a[0]' },
      { Parameters: { 'value.$': '$.a[0]' } },
    ]) {
      expect(await pass(fields, input)).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
    }
  });

  test('InputPath and OutputPath of null give an empty object, ResultPath of null keeps the input', async () => {
    expect(await pass({ InputPath: null }, input)).toMatchObject({ output: {} });
    expect(await pass({ OutputPath: null }, input)).toMatchObject({ output: {} });
    expect(await pass({ Result: 1, ResultPath: null }, input)).toMatchObject({ output: input });
  });

  test('the fields apply in the order of AWS: ResultPath adds to the whole input, not to what InputPath selects', async () => {
    const states = {
      Call: {
        Type: 'Task',
        Resource: FUNCTION,
        InputPath: '$.a',
        Parameters: { 'x.$': '$.x' },
        ResultSelector: { 'y.$': '$.x' },
        ResultPath: '$.result',
        OutputPath: '$.result',
        End: true,
      },
    };
    expect(await run(states, { a: { x: 1 } })).toEqual({ status: 'SUCCEEDED', output: { y: 1 } });
    const { Call } = states;
    expect(await run({ Call: { ...Call, OutputPath: '$' } }, { a: { x: 1 } })).toMatchObject({
      output: { a: { x: 1 }, result: { y: 1 } },
    });
  });

  test.each([
    ['$', 9],
    ['$.a', { a: 9, b: [1, 2], n: null }],
    ['$.a.deep.er', { a: { x: 0, deep: { er: 9 } }, b: [1, 2], n: null }],
    ["$['new key']", { a: { x: 0 }, b: [1, 2], n: null, 'new key': 9 }],
    ['$.b[1]', { a: { x: 0 }, b: [1, 9], n: null }],
    ['$.n', { a: { x: 0 }, b: [1, 2], n: 9 }],
  ])('the ResultPath %s', (ResultPath, output) => {
    const before = { a: { x: 0 }, b: [1, 2], n: null };
    expect(placeResult(ResultPath, before, 9)).toEqual(output);
    expect(before).toEqual({ a: { x: 0 }, b: [1, 2], n: null });
  });

  test.each([
    ['$.a', [1]],
    ['$.a', null],
    ['$.a.b', { a: 1 }],
    ['$.a.b', { a: null }],
    ['$.a[0]', { a: {} }],
    ['$.a[1]', { a: [0] }],
    ['$.a[0]', {}],
  ])('the ResultPath %s does not fit the input %j', (ResultPath, before) => {
    expect(() => placeResult(ResultPath, before, 9)).toThrow(
      expect.objectContaining({ name: 'States.ResultPathMatchFailure' }),
    );
  });

  test('a ResultPath that does not fit fails the execution', async () => {
    expect(await pass({ Result: 9, ResultPath: '$.a' }, [1])).toMatchObject({
      status: 'FAILED',
      error: 'States.ResultPathMatchFailure',
    });
  });

  test('$$ shows the state and the execution', async () => {
    const Parameters = {
      'state.$': '$$.State.Name',
      'name.$': '$$.Execution.Name',
      'a.$': '$$.Execution.Input.a',
    };
    const engine = engineOf({ Show: { Type: 'Pass', Parameters, End: true } });
    expect(await engine.start('Main', { a: 1 }, { name: 'first' }).result).toMatchObject({
      output: { state: 'Show', name: 'first', a: 1 },
    });
  });
});

describe('Choice', () => {
  const input = {
    text: 'build-7.log',
    seven: 7,
    yes: true,
    no: false,
    none: null,
    at: '2026-11-21T12:00:00Z',
    sameText: 'build-7.log',
    sameNumber: 7,
    sameTime: '2026-11-21T13:00:00+01:00',
    later: '2026-11-21T12:00:00.500Z',
    star: 'a*b',
    list: [],
  };
  const isChosen = (rule: object) =>
    choose({ Choices: [{ ...rule, Next: 'yes' }], Default: 'no' } as unknown as State, {
      input,
      context: {},
    }) === 'yes';

  test.each([
    // Operators with a value: accepted values, then others.
    ['StringEquals', '$.text', ['build-7.log'], ['build', '7']],
    ['StringLessThan', '$.text', ['c'], ['build-7.log', 'a']],
    ['StringLessThanEquals', '$.text', ['c', 'build-7.log'], ['a']],
    ['StringGreaterThan', '$.text', ['a'], ['build-7.log', 'c']],
    ['StringGreaterThanEquals', '$.text', ['a', 'build-7.log'], ['c']],
    [
      'StringMatches',
      '$.text',
      ['build-*.log', '*', '*-7*', 'build-7.log'],
      ['build-*-', '*.Log', 'build-7_log', ''],
    ],
    ['StringMatches', '$.star', ['a\\*b', 'a*'], ['a\\*', '\\*']],
    ['NumericEquals', '$.seven', [7, 7.0], [8]],
    ['NumericLessThan', '$.seven', [8], [7, 6]],
    ['NumericLessThanEquals', '$.seven', [8, 7], [6]],
    ['NumericGreaterThan', '$.seven', [6], [7, 8]],
    ['NumericGreaterThanEquals', '$.seven', [6, 7], [8]],
    ['BooleanEquals', '$.yes', [true], [false]],
    ['BooleanEquals', '$.no', [false], [true]],
    [
      'TimestampEquals',
      '$.at',
      ['2026-11-21T12:00:00Z', '2026-11-21T13:00:00+01:00'],
      ['2026-11-21T12:00:01Z'],
    ],
    ['TimestampLessThan', '$.at', ['2026-11-21T12:00:01Z'], ['2026-11-21T12:00:00Z', '2026-11-20T12:00:00Z']],
    ['TimestampLessThanEquals', '$.at', ['2026-11-21T12:00:00Z'], ['2026-11-20T12:00:00Z']],
    ['TimestampGreaterThan', '$.at', ['2026-11-20T12:00:00Z'], ['2026-11-21T12:00:00Z']],
    ['TimestampGreaterThanEquals', '$.at', ['2026-11-21T12:00:00Z'], ['2026-11-21T12:00:01Z']],
    // Another type never matches.
    ['StringEquals', '$.seven', [], ['7']],
    ['NumericEquals', '$.text', [], [7]],
    ['NumericLessThan', '$.none', [], [7]],
    ['BooleanEquals', '$.none', [], [false]],
    ['TimestampEquals', '$.text', [], ['2026-11-21T12:00:00Z']],
    // Types
    ['IsNull', '$.none', [true], [false]],
    ['IsNull', '$.seven', [false], [true]],
    ['IsPresent', '$.none', [true], [false]],
    ['IsPresent', '$.missing', [false], [true]],
    ['IsPresent', '$.none.deeper', [false], [true]],
    ['IsPresent', '$.list[0]', [false], [true]],
    ['IsString', '$.text', [true], [false]],
    ['IsString', '$.seven', [false], [true]],
    ['IsNumeric', '$.seven', [true], [false]],
    ['IsNumeric', '$.text', [false], [true]],
    ['IsBoolean', '$.no', [true], [false]],
    ['IsBoolean', '$.none', [false], [true]],
    ['IsTimestamp', '$.at', [true], [false]],
    ['IsTimestamp', '$.text', [false], [true]],
    // Operators with a path
    ['StringEqualsPath', '$.text', ['$.sameText'], ['$.star']],
    ['StringLessThanPath', '$.star', ['$.text'], ['$.star']],
    ['NumericEqualsPath', '$.seven', ['$.sameNumber'], []],
    ['NumericGreaterThanEqualsPath', '$.seven', ['$.sameNumber'], []],
    ['NumericLessThanPath', '$.seven', [], ['$.sameNumber']],
    ['BooleanEqualsPath', '$.no', ['$.no'], ['$.yes']],
    ['TimestampEqualsPath', '$.at', ['$.sameTime'], ['$.later']],
    ['TimestampLessThanPath', '$.at', ['$.later'], ['$.sameTime']],
  ])('%s of %s', (operator, Variable, accepted, others) => {
    const isAccepted = (operand: unknown) => isChosen({ Variable, [operator]: operand });
    expect([...accepted, ...others].filter(isAccepted)).toEqual(accepted);
  });

  test('And, Or and Not combine rules', () => {
    const [yes, no] = [
      { Variable: '$.seven', NumericEquals: 7 },
      { Variable: '$.seven', NumericEquals: 8 },
    ];
    expect(
      [
        [yes, yes],
        [yes, no],
        [no, no],
      ].map((rules) => isChosen({ And: rules })),
    ).toEqual([true, false, false]);
    expect(
      [
        [yes, yes],
        [no, yes],
        [no, no],
      ].map((rules) => isChosen({ Or: rules })),
    ).toEqual([true, true, false]);
    expect(isChosen({ Not: { And: [yes, { Or: [no, { Not: yes }] }] } })).toBe(true);
    // And stops at the first rule that does not match: the value behind it may be missing.
    const guarded = [
      { Variable: '$.missing', IsPresent: true },
      { Variable: '$.missing', NumericEquals: 1 },
    ];
    expect(isChosen({ And: guarded })).toBe(false);
  });

  const choice = (more: object, Variable = '$.n') => ({
    Which: {
      Type: 'Choice',
      Choices: [
        { Variable, NumericGreaterThan: 1, Next: 'First' },
        { Variable, NumericGreaterThan: 0, Next: 'Second' },
      ],
      ...more,
    },
    First: { Type: 'Pass', Result: 'first', End: true },
    Second: { Type: 'Pass', Result: 'second', End: true },
    Other: { Type: 'Pass', Result: 'other', End: true },
  });

  test('takes the first rule that matches, else Default', async () => {
    const states = choice({ Default: 'Other' });
    const outputs = [];
    for (const n of [2, 1, 0]) outputs.push((await run(states, { n })).output);
    expect(outputs).toEqual(['first', 'second', 'other']);
  });

  test('fails without a match and without Default, and at a Variable that does not exist', async () => {
    const { Other, ...states } = choice({});
    expect(await run(states, { n: 0 })).toMatchObject({ status: 'FAILED', error: 'States.NoChoiceMatched' });
    expect(await run(states, {})).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
    expect(eventLines()).toContain('StateFailed Which');
  });

  test('fails when the path of an operator leads to another type', () => {
    expect(() => isChosen({ Variable: '$.seven', NumericEqualsPath: '$.text' })).toThrow(
      'not a value of the type Numeric',
    );
  });
});

describe('Wait', () => {
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

  test.each([
    ['Seconds', () => ({ Seconds: 1 })],
    ['SecondsPath', () => ({ SecondsPath: '$.seconds' })],
    ['Timestamp', () => ({ Timestamp: inSeconds(1) })],
    ['TimestampPath', () => ({ TimestampPath: '$.until' })],
  ])('waits for %s and passes the input on', async (field, fields) => {
    const engine = engineOf({ Wait: { Type: 'Wait', ...fields(), End: true } });
    const startedAt = Date.now();
    const input = { seconds: 1, until: inSeconds(1) };
    expect(await engine.start('Main', input).result).toEqual({ status: 'SUCCEEDED', output: input });
    // Building the engine counts for Timestamp; timers may be a few milliseconds early.
    if (field !== 'Timestamp') expect(Date.now() - startedAt).toBeGreaterThan(980);
  });

  test('does not wait for 0 seconds or a timestamp of the past', async () => {
    const wait = (fields: object) => run({ Wait: { Type: 'Wait', ...fields, End: true } }, { zero: 0 });
    vi.spyOn(Date, 'now').mockReturnValue(Date.parse('2026-11-21T12:00:00Z'));
    expect(await wait({ SecondsPath: '$.zero' })).toMatchObject({ status: 'SUCCEEDED' });
    expect(await wait({ Timestamp: '2026-11-21T11:00:00Z' })).toMatchObject({ status: 'SUCCEEDED' });
    expect(await wait({ Timestamp: '2026-11-21T13:59:00+02:00' })).toMatchObject({ status: 'SUCCEEDED' });
  });

  test.each([
    ['SecondsPath', -1],
    ['SecondsPath', 1.5],
    ['SecondsPath', '1'],
    ['SecondsPath', null],
    ['TimestampPath', 'tomorrow'],
    ['TimestampPath', '2026-11-21'],
    ['TimestampPath', '2026-13-41T99:00:00Z'],
    ['TimestampPath', 5],
  ])('%s to %j fails with States.Runtime', async (field, value) => {
    const states = { Wait: { Type: 'Wait', [field]: '$.value', End: true } };
    expect(await run(states, { value })).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
  });
});

describe('Retry and Catch', () => {
  const retrier = (fields: Partial<Retrier>): Retrier => ({
    ...{ ErrorEquals: ['Flaky'], IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2 },
    ...{ MaxDelaySeconds: Number.POSITIVE_INFINITY, JitterStrategy: 'NONE', ...fields },
  });
  const delays = (fields: Partial<Retrier>) =>
    [0, 1, 2, 3, 4].map((used) => retryDelaySeconds(retrier(fields), used));
  const call = (more: object = {}) => ({
    Type: 'Task',
    Resource: FUNCTION,
    ...('Next' in more ? {} : { End: true }),
    ...more,
  });
  /** So that tests do not wait. Step Functions itself takes whole seconds from 1. */
  const AT_ONCE = { IntervalSeconds: 0 };

  test('the delay grows by BackoffRate up to MaxDelaySeconds', () => {
    expect(delays({})).toEqual([1, 2, 4, 8, 16]);
    expect(delays({ IntervalSeconds: 3, BackoffRate: 1 })).toEqual([3, 3, 3, 3, 3]);
    expect(delays({ IntervalSeconds: 2, BackoffRate: 1.5 })).toEqual([2, 3, 4.5, 6.75, 10.125]);
    expect(delays({ MaxDelaySeconds: 5 })).toEqual([1, 2, 4, 5, 5]);
  });

  test('full jitter takes any time up to the delay, after the cap', () => {
    const random = vi.spyOn(Math, 'random');
    random.mockReturnValue(0);
    expect(delays({ JitterStrategy: 'FULL' })).toEqual([0, 0, 0, 0, 0]);
    random.mockReturnValue(0.5);
    expect(delays({ JitterStrategy: 'FULL', MaxDelaySeconds: 5 })).toEqual([0.5, 1, 2, 2.5, 2.5]);
    expect(delays({})).toEqual([1, 2, 4, 8, 16]);
  });

  test('a Task state is retried MaxAttempts times, 3 by default', async () => {
    let attempts = 0;
    invoke = () => {
      attempts += 1;
      throw failure('Flaky');
    };
    for (const [fields, expected] of [
      [{}, 4],
      [{ MaxAttempts: 1 }, 2],
      [{ MaxAttempts: 0 }, 1],
    ] as const) {
      attempts = 0;
      const Retry = [{ ErrorEquals: ['Flaky'], ...AT_ONCE, ...fields }];
      expect(await run({ Call: call({ Retry }) })).toMatchObject({ status: 'FAILED', error: 'Flaky' });
      expect(attempts).toBe(expected);
    }
  });

  test('each retrier counts its own retries, and the first one that covers an error decides', async () => {
    const errors = ['One', 'Two', 'One', 'Two', 'One'];
    invoke = () => {
      const error = errors.shift();
      if (error !== undefined) throw failure(error);
      return 'done';
    };
    const Retry = [
      { ErrorEquals: ['One'], MaxAttempts: 2, ...AT_ONCE },
      { ErrorEquals: ['States.ALL'], MaxAttempts: 9, ...AT_ONCE },
    ];
    // The third One finds its retrier used up; the one for States.ALL does not replace it.
    expect(await run({ Call: call({ Retry }) })).toMatchObject({ status: 'FAILED', error: 'One' });
    expect(events.filter(({ type }) => type === 'StateRetried').map(({ attempt }) => attempt)).toEqual([
      1, 1, 2, 2,
    ]);
  });

  test('$$.State.RetryCount counts the retries of all retriers', async () => {
    const errors = ['One', 'Two', 'One'];
    const counts: unknown[] = [];
    invoke = (payload) => {
      counts.push(payload);
      const error = errors.shift();
      if (error !== undefined) throw failure(error);
      return 'done';
    };
    const Retry = ['One', 'Two'].map((name) => ({ ErrorEquals: [name], ...AT_ONCE }));
    const Parameters = { 'count.$': '$$.State.RetryCount' };

    expect(await run({ Call: call({ Retry, Parameters }) })).toMatchObject({ status: 'SUCCEEDED' });
    expect(counts).toEqual([0, 1, 2, 3].map((count) => ({ count })));
  });

  test('the count starts again when the state is entered again', async () => {
    let attempts = 0;
    invoke = () => {
      attempts += 1;
      if (attempts % 2 === 1) throw failure('Flaky');
      return attempts;
    };
    const states = {
      Call: call({ Retry: [{ ErrorEquals: ['Flaky'], MaxAttempts: 1, ...AT_ONCE }], Next: 'Again?' }),
      'Again?': {
        Type: 'Choice',
        Choices: [{ Variable: '$', NumericLessThan: 6, Next: 'Call' }],
        Default: 'Done',
      },
      Done: { Type: 'Succeed' },
    };
    expect(await run(states)).toEqual({ status: 'SUCCEEDED', output: 6 });
    expect(events.filter(({ type }) => type === 'StateRetried').map(({ attempt }) => attempt)).toEqual([
      1, 1, 1,
    ]);
  });

  test('a retry repeats the whole state, and Catch applies after the last one', async () => {
    invoke = () => {
      throw failure('Flaky');
    };
    const states = {
      Call: call({
        Retry: [{ ErrorEquals: ['Flaky'], MaxAttempts: 1, ...AT_ONCE }],
        Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Caught' }],
      }),
      Caught: { Type: 'Succeed' },
    };
    await run(states);
    expect(eventLines()).toEqual([
      'ExecutionStarted',
      'StateEntered Call',
      'StateFailed Call',
      'StateRetried Call',
      'StateFailed Call',
      'StateCaught Call',
      'StateExited Call',
      'StateEntered Caught',
      'StateExited Caught',
      'ExecutionSucceeded',
    ]);
  });

  const caughtBy = async (error: Error, ...names: string[]) => {
    invoke = () => {
      throw error;
    };
    const Catch = names.map((name) => ({ ErrorEquals: [name], Next: name }));
    const ends = Object.fromEntries(names.map((name) => [name, { Type: 'Pass', Result: name, End: true }]));
    const { output, error: uncaught } = await run({ Call: call({ Catch }), ...ends });
    return output ?? `uncaught ${uncaught}`;
  };

  test('the first catcher that covers an error takes it', async () => {
    expect(await caughtBy(failure('One'), 'Two', 'One', 'States.ALL')).toBe('One');
    expect(await caughtBy(failure('Three'), 'Two', 'One', 'States.ALL')).toBe('States.ALL');
    expect(await caughtBy(failure('One'), 'States.TaskFailed', 'One')).toBe('States.TaskFailed');
    expect(await caughtBy(failure('One'), 'Two')).toBe('uncaught One');
  });

  test('States.TaskFailed does not cover States.Timeout, States.ALL does', async () => {
    expect(await caughtBy(failure('States.Timeout'), 'States.TaskFailed', 'States.ALL')).toBe('States.ALL');
    expect(await caughtBy(failure('States.Timeout'), 'States.TaskFailed')).toBe('uncaught States.Timeout');
  });

  test('nothing covers States.Runtime', async () => {
    const handlers = (name: string) => ({
      Retry: [{ ErrorEquals: [name], ...AT_ONCE }],
      Catch: [{ ErrorEquals: [name], Next: 'Caught' }],
    });
    for (const name of ['States.ALL', 'States.TaskFailed', 'States.Runtime']) {
      const Call = call({ Parameters: { 'a.$': '$.missing' }, ...handlers(name) });
      const failed = await run({ Call, Caught: { Type: 'Succeed' } });
      expect(failed).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
    }
    expect(eventLines()).not.toContain('StateRetried Call');
  });

  test('States.DataLimitExceeded is covered by its name only, also outside of a Map', async () => {
    invoke = () => 'x'.repeat(300_000);
    const each = (...names: string[]) => ({
      Each: {
        Type: 'Map',
        ItemProcessor: { StartAt: 'Call', States: { Call: call() } },
        Catch: names.map((name) => ({ ErrorEquals: [name], Next: 'Caught' })),
        End: true,
      },
      Caught: { Type: 'Pass', Result: 'caught', End: true },
    });
    expect(await run(each('States.ALL', 'States.TaskFailed'), [1])).toMatchObject({
      error: 'States.DataLimitExceeded',
    });
    expect(await run(each('States.ALL', 'States.DataLimitExceeded'), [1])).toMatchObject({
      output: 'caught',
    });
  });

  test('a caught error replaces the input, or goes to ResultPath, or is dropped', async () => {
    invoke = () => {
      throw failure('One');
    };
    const error = { Error: 'One', Cause: 'One happened' };
    for (const [fields, output] of [
      [{}, error],
      [{ ResultPath: '$' }, error],
      [{ ResultPath: '$.error' }, { a: 1, error }],
      [{ ResultPath: null }, { a: 1 }],
    ] as const) {
      const Catch = [{ ErrorEquals: ['One'], Next: 'Caught', ...fields }];
      const states = { Call: call({ InputPath: '$.a', Catch }), Caught: { Type: 'Succeed' } };
      expect(await run(states, { a: 1 })).toEqual({ status: 'SUCCEEDED', output });
    }
  });
});

describe('Map and Parallel', () => {
  const level = (state: object) => ({ StartAt: 'Work', States: { Work: state } });

  test('MaxConcurrency and MaxConcurrencyPath limit the iterations that run at the same time', async () => {
    let [now, most] = [0, 0];
    invoke = async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setTimeout(resolve, 20));
      now -= 1;
    };
    const map = (more: object) => ({
      Each: {
        Type: 'Map',
        ItemsPath: '$.items',
        ItemProcessor: level({ Type: 'Task', Resource: FUNCTION, End: true }),
        End: true,
        ...more,
      },
    });
    for (const [more, limit] of [
      [{ MaxConcurrency: 2 }, 2],
      [{ MaxConcurrencyPath: '$.most' }, 3],
      [{}, 40],
    ] as const) {
      most = 0;
      const items = Array.from({ length: 50 }, (_, n) => n);
      expect((await run(map(more), { items, most: 3 })).status).toBe('SUCCEEDED');
      expect(most).toBe(limit);
    }
  });

  test('Map fails at items that are not an array', async () => {
    const Each = { Type: 'Map', ItemsPath: '$.items', ItemProcessor: level({ Type: 'Succeed' }), End: true };
    expect(await run({ Each }, { items: { a: 1 } })).toMatchObject({
      status: 'FAILED',
      error: 'States.Runtime',
    });
  });

  test('a branch that fails aborts the others', async () => {
    const states = {
      Both: {
        Type: 'Parallel',
        Branches: [
          level({ Type: 'Fail', Error: 'Broken', Cause: 'on purpose' }),
          { StartAt: 'Pause', States: { Pause: { Type: 'Wait', Seconds: 600, End: true } } },
        ],
        Catch: [{ ErrorEquals: ['Broken'], Next: 'Caught' }],
        End: true,
      },
      Caught: { Type: 'Succeed' },
    };
    expect(await run(states)).toEqual({
      status: 'SUCCEEDED',
      output: { Error: 'Broken', Cause: 'on purpose' },
    });
    expect(eventLines().filter((line) => line.startsWith('ParallelBranch'))).toEqual([
      'ParallelBranchStarted Both',
      'ParallelBranchStarted Both',
      'ParallelBranchFailed Both',
      'ParallelBranchAborted Both',
    ]);
  });

  test('an execution that times out ends its iterations first', async () => {
    const states = {
      Each: { Type: 'Map', ItemProcessor: level({ Type: 'Wait', Seconds: 600, End: true }), End: true },
    };
    const result = await run(states, [1], { TimeoutSeconds: 1 });
    expect(result).toEqual({ status: 'TIMED_OUT', error: 'States.Timeout' });
    expect(eventLines().slice(-2)).toEqual(['MapIterationAborted Each', 'ExecutionTimedOut']);
  });
});

test('TimeoutSecondsPath limits a Task state, and the call is aborted', async () => {
  invoke = () => new Promise(() => undefined);
  const states = { Call: { Type: 'Task', Resource: FUNCTION, TimeoutSecondsPath: '$.limit', End: true } };
  expect(await run(states, { limit: 1 })).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
  expect(await run(states, { limit: 0 })).toMatchObject({ status: 'FAILED', error: 'States.Runtime' });
});

describe('a Fail state', () => {
  const fail = (input: object) =>
    run({ Failed: { Type: 'Fail', ErrorPath: '$.error', CausePath: '$.cause' } }, input);

  test.each([
    ['ASCII', 'x'.repeat(32_768)],
    ['characters of three bytes', `${'索'.repeat(10_922)}xx`],
  ])('accepts an Error of 256 bytes and a Cause of 32 KiB: %s', async (_name, cause) => {
    const error = 'e'.repeat(256);
    expect(await fail({ error, cause })).toEqual({ status: 'FAILED', error, cause });
  });

  test.each([
    ['a Cause', { error: 'Broken', cause: 'x'.repeat(32_769) }],
    ['a Cause whose characters are fewer', { error: 'Broken', cause: '索'.repeat(10_923) }],
    ['an Error', { error: 'e'.repeat(257), cause: 'on purpose' }],
  ])('with %s over the limit ends with States.Runtime', async (_name, input) => {
    expect(await fail(input)).toMatchObject({
      status: 'FAILED',
      error: 'States.Runtime',
      cause: expect.stringContaining('longer than'),
    });
  });
});

describe('a definition is refused', () => {
  const done = { Type: 'Pass', End: true };
  const wait = { Type: 'Wait', Seconds: 1, End: true };
  const choice = (rule: object) => ({
    Which: { Type: 'Choice', Choices: [{ ...rule, Next: 'Done' }], Default: 'Done' },
    Done: done,
  });
  const map = (states: States, more: object) => ({
    Type: 'Map',
    ItemProcessor: { StartAt: Object.keys(states)[0], States: states },
    ...more,
  });
  const parameters = (value: string) => ({ Work: { ...done, Parameters: { 'value.$': value } } });

  const cases: Record<string, [States, string]> = {
    'without Next and End': [{ Work: { Type: 'Pass' } }, '"Work" MUST contain exactly one of'],
    'with Next and End': [
      { Work: { ...done, Next: 'Done' }, Done: done },
      '"Work" MUST contain exactly one of',
    ],
    'with a Next that does not exist': [{ Work: { Type: 'Pass', Next: 'Nowhere' }, Done: done }, 'Nowhere'],
    'with a Catch to a state that does not exist': [
      {
        Work: {
          Type: 'Task',
          Resource: FUNCTION,
          End: true,
          Catch: [{ ErrorEquals: ['A'], Next: 'Nowhere' }],
        },
      },
      'Nowhere',
    ],
    'with a state that no state leads to': [{ Work: done, Lonely: done }, 'Lonely'],
    'with states that only lead to each other': [
      { Work: done, Ping: { Type: 'Pass', Next: 'Pong' }, Pong: { Type: 'Pass', Next: 'Ping' } },
      'No state leads to the state "Ping".',
    ],
    'with a Next out of a Map': [
      {
        Each: map(
          { Which: { ...choice({ Variable: '$.a', IsNull: true }).Which, Default: 'End' }, End: done },
          { Next: 'Done' },
        ),
        Done: done,
      },
      '"Done", a state that does not exist',
    ],
    'with a Next into a Map': [
      {
        Which: {
          Type: 'Choice',
          Choices: [{ Variable: '$.a', IsNull: true, Next: 'Work' }],
          Default: 'Each',
        },
        Each: map({ Work: done }, { End: true }),
      },
      '"Work", a state that does not exist',
    ],
    'with an unknown type of state': [{ Work: { Type: 'Loop', End: true } }, '/States/Work/Type'],
    'with an unknown operator': [choice({ Variable: '$.a', NumericIs: 1 }), '/States/Which/Choices/0'],
    'with two operators in a rule': [
      choice({ Variable: '$.a', NumericEquals: 1, StringEquals: 'a' }),
      '/States/Which/Choices/0',
    ],
    'with Retry in a Wait state': [{ Work: { ...wait, Retry: [{ ErrorEquals: ['A'] }] } }, '/States/Work'],
    'with an unknown field of Retry': [
      {
        Work: { Type: 'Task', Resource: FUNCTION, Retry: [{ ErrorEquals: ['A'], MaxAttempt: 1 }], End: true },
      },
      'States.Work.Retry.0: Unrecognized key: "MaxAttempt"',
    ],
    'with HeartbeatSeconds': [
      { Work: { Type: 'Task', Resource: FUNCTION, HeartbeatSeconds: 1, End: true } },
      'States.Work: Unrecognized key: "HeartbeatSeconds"',
    ],
    'with a path that is not valid': [{ Work: { ...done, InputPath: '$.a[' } }, '/States/Work/InputPath'],
    'with a function in a filter that AWS does not have': [
      { Work: { ...done, InputPath: '$.a[?(length(@.b) > 1)]' } },
      '/States/Work/InputPath',
    ],
    'with a ResultPath to several places': [
      { Work: { ...done, ResultPath: '$.a[*]' } },
      '/States/Work/ResultPath',
    ],
    'with a call that is not closed': [parameters("States.Format('{}', $.a"), '/States/Work/Parameters'],
    'with the task token': [
      parameters('$$.Task.Token'),
      'The state "Work" uses $$.Task.Token, a field of the context',
    ],
    'with an unknown field of the context in a call': [
      parameters("States.Format('{}', $$.Execution.Owner)"),
      '$$.Execution.Owner',
    ],
    'with an unknown function inside of a call': [
      parameters("States.Array(1, States.Hash($.a, 'MD5'))"),
      'The state "Work" calls States.Hash, which the local engine does not support',
    ],
    'with a problem inside of a branch': [
      {
        Both: {
          Type: 'Parallel',
          Branches: [{ StartAt: 'Work', States: parameters('$$.Task.Token') }],
          End: true,
        },
      },
      'The state "Work" uses $$.Task.Token',
    ],
  };
  test.each(Object.entries(cases))('%s', (_name, [states, message]) => {
    expect(() => engineOf(states)).toThrow(message);
  });

  test('of a machine with a field that the engine does not support', () => {
    expect(() => engineOf({ Work: done }, { QueryLanguage: 'JSONata' })).toThrow('JSONPath only');
    expect(() => engineOf({ Work: done }, { Timeout: 3 })).toThrow('additional properties');
  });
});
