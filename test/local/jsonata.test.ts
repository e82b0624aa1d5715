import { beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../lib/local/engine.ts';

/*
 * What Step Functions says of Task states that use JSONata. The only function is a callback of the test.
 */

type States = Record<string, { Type: string; [field: string]: unknown }>;

let invoke: (payload: unknown) => unknown;

beforeEach(() => {
  invoke = (payload) => payload;
});

function engineOf(states: States): LocalEngine {
  return new LocalEngine({
    machines: [
      {
        name: 'Main',
        arn: 'arn:aws:states:eu-west-1:000000000000:stateMachine:Main',
        definition: { StartAt: Object.keys(states)[0] ?? '', States: states },
      },
    ],
    lambdas: { functionNames: ['Demo'], invoke: async (_name, payload) => invoke(payload) },
    aws: { supports: () => false, call: async () => undefined },
  });
}

const task = (fields: object) => ({
  Task: {
    Type: 'Task',
    Resource: 'arn:aws:lambda:eu-west-1:000000000000:function:Demo',
    QueryLanguage: 'JSONata',
    End: true,
    ...fields,
  },
});

const run = async (states: States, input: unknown = {}) => await engineOf(states).start('Main', input).result;

describe('a Task state that uses JSONata', () => {
  const input = {
    keep: 1,
    list: [1],
    schedule: { Name: 'a', StartDate: null, Target: { Input: '{% 1 %}' } },
  };

  const filled: [what: string, sent: unknown, expected: unknown][] = [
    ['values as they are', { a: 1, b: [true, null], c: '$.keep' }, { a: 1, b: [true, null], c: '$.keep' }],
    ['expressions at every depth', { a: { b: ['{% $states.input.keep + 1 %}'] } }, { a: { b: [2] } }],
    ['a list of one', { a: '{% $states.input.list %}' }, { a: [1] }],
    ['the context', { a: '{% $states.context.State.Name %}' }, { a: 'Task' }],
    ['null', { a: '{% null %}' }, { a: null }],
    [
      'an expression as all Arguments, with the fields that exist',
      "{% $merge([$sift($states.input.schedule, function($v) { $v != null }), {'State': 'DISABLED'}]) %}",
      { Name: 'a', Target: { Input: '{% 1 %}' }, State: 'DISABLED' },
    ],
  ];
  test.each(filled)('sends %s', async (_what, Arguments, expected) => {
    expect(await run(task({ Arguments }), input)).toMatchObject({ status: 'SUCCEEDED', output: expected });
  });

  test('sends its input without Arguments, and its output is the result without Output', async () => {
    invoke = (payload) => ({ got: payload });
    expect((await run(task({}), input)).output).toEqual({ got: input });
  });

  test('adds fields of the result to its input', async () => {
    invoke = () => ({ State: 'ENABLED' });
    const Output = "{% $merge([$states.input, {'state': $states.result.State}]) %}";
    expect((await run(task({ Output }), input)).output).toEqual({ ...input, state: 'ENABLED' });
  });

  test.each([
    ['has no value', '{% $states.input.missing %}'],
    ['reads without a variable, because there is no context item', '{% keep %}'],
    ['fails', "{% $toMillis('no date') %}"],
  ])('fails when an expression %s, with an error that a Catch handles', async (_what, expression) => {
    expect(await run(task({ Arguments: { a: expression } }), input)).toMatchObject({
      status: 'FAILED',
      error: 'States.QueryEvaluationError',
    });
    const Catch = [
      {
        ErrorEquals: ['States.ALL'],
        Output: "{% $merge([$states.input, {'failure': $states.errorOutput.Error}]) %}",
        Next: 'Caught',
      },
    ];
    const caught = await run({ ...task({ Output: expression, Catch }), Caught: { Type: 'Succeed' } }, input);
    expect(caught.output).toEqual({ ...input, failure: 'States.QueryEvaluationError' });
  });

  test('retries, and has the error as its output when a Catch has none', async () => {
    const failures = ['Once', 'Twice'];
    invoke = () => {
      throw Object.assign(new Error('as requested'), { name: failures.shift() ?? 'Again' });
    };
    const Retry = [{ ErrorEquals: ['Once'], IntervalSeconds: 1, MaxAttempts: 1 }];
    const Catch = [{ ErrorEquals: ['Twice'], Next: 'Caught' }];
    const caught = await run({ ...task({ Retry, Catch }), Caught: { Type: 'Succeed' } });
    expect(caught.output).toMatchObject({ Error: 'Twice' });
  });

  test('is limited as every other state', async () => {
    invoke = () => 'x'.repeat(200_000);
    const Output = '{% [$states.result, $states.result] %}';
    expect((await run(task({ Output }))).error).toBe('States.DataLimitExceeded');
  });
});

describe('the engine refuses', () => {
  test.each([
    ['an expression that is not valid', task({ Arguments: { a: '{% $merge([ %}' } }), 'Arguments'],
    ['$eval, which Step Functions does not have', task({ Arguments: { a: "{% $eval('1') %}" } }), '$eval'],
    ['fields of JSONPath', task({ ResultPath: '$.a' }), 'QueryLanguage is invalid'],
    [
      'JSONata in other states',
      { Set: { Type: 'Pass', QueryLanguage: 'JSONata', End: true } },
      'in Task states only',
    ],
  ])('%s', (_what, states, message) => {
    expect(() => engineOf(states as States)).toThrow(message);
  });
});
