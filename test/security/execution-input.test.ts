import { afterEach, expect, test } from 'vitest';
import { MAX_INDEXES } from '../../lambdas/shared/requested-indexes.ts';
import { expectHarmless, HOSTILE_NAME } from '../support/hostile-text.ts';
import { ONLY_INDEX, useWorkflowThatRefuses } from '../support/refused-deploys.ts';
import type { TestWorkflow } from '../support/workflow.ts';

const LINK = 'https://evil.example/login';
const SLACK = '<https://evil.example|the runbook> <!channel>';
const MARKDOWN = '[the runbook](https://evil.example)';
const LINES = 'x.\nStatus: succeeded\r\nWhat to do next:\n1. Open www.evil.example';
/** Nested as deep as Step Functions and this machine still pass on. */
const DEEP = `${'{"a":'.repeat(1_000)}1${'}'.repeat(1_000)}`;

let workflow: TestWorkflow;

useWorkflowThatRefuses((opened) => {
  workflow = opened;
});
afterEach(() => {
  expect(Object.prototype).not.toHaveProperty('polluted');
});

test.each<[string, string, string]>([
  ...[LINK, SLACK, MARKDOWN, LINES, HOSTILE_NAME, 'x'.repeat(100_000), '__proto__', 'toString', ''].flatMap(
    (text): [string, string, string][] => {
      const json = JSON.stringify(text);
      return [
        [
          `the mode ${shown(text)}`,
          `{"mode": ${json}}`,
          'mode must be one of deploy, indexes, plan, start-services, not "',
        ],
        [`the field ${shown(text)}`, `{${json}: 1}`, 'unknown field "'],
        [`the index ${shown(text)}`, `{"indexes": [${json}]}`, 'is not in the registry'],
        [`force ${shown(text)}`, `{"force": ${json}}`, 'force must be true or false, not "'],
        [`start ${shown(text)}`, `{"start": ${json}}`, 'start must be one of at-once, hold, not "'],
        [`indexes ${shown(text)}`, `{"indexes": ${json}}`, 'indexes: must be a list of index names, not "'],
      ];
    },
  ),
  ['force as a number', '{"force": 1}', 'force must be true or false, not 1'],
  ['force as null', '{"force": null}', 'force must be true or false, not null'],
  ['start as a flag', '{"start": true}', 'start must be one of at-once, hold, not true'],
  [
    'a hold in a mode that stops nothing',
    '{"mode": "start-services", "start": "hold"}',
    'start must be at-once, or missing, with the mode start-services',
  ],
  ['a mode as a list', '{"mode": ["deploy"]}', 'not a list'],
  ['a mode in capital letters', '{"mode": "DEPLOY"}', 'not "DEPLOY"'],
  ['an index as a number', '{"indexes": [1]}', 'indexes.0: must be the name of an index, not 1'],
  ['an index as an object', '{"indexes": [{"name": "x"}]}', 'not an object'],
  [
    'indexes as an object',
    `{"indexes": {"0": "${ONLY_INDEX}", "length": 1}}`,
    'a list of index names, not an object',
  ],
  ['a prototype', '{"__proto__": {"polluted": true}}', 'unknown field "__proto__"'],
  ['a constructor', '{"constructor": {"prototype": {"polluted": true}}}', 'unknown field "constructor"'],
  [
    'a task definition of an unknown service',
    '{"taskDefinitions": {"www.example.com": "other:1"}}',
    'is named "www\\u002eexample\\u002ecom". Valid names: api, worker.',
  ],
  [
    'a task definition as an ARN',
    '{"taskDefinitions": {"api": "arn:aws:ecs:eu-west-1:000000000000:task-definition/api:2"}}',
    'taskDefinitions must be like {"api": "api:42"}: names of services and FAMILY:REVISION, not an object',
  ],
  [
    'a task definition of a mode that stops nothing',
    '{"mode": "start-services", "taskDefinitions": {"api": "api:2"}}',
    'taskDefinitions must be missing with the mode start-services',
  ],
  ['SQL', '{"indexes": ["x; drop table orders"]}', '"x; drop table orders" is not in the registry'],
  [
    'an index twice',
    `{"indexes": ["${ONLY_INDEX}", "${ONLY_INDEX}"]}`,
    `it lists "${ONLY_INDEX}" more than once`,
  ],
  [
    'an index by two names',
    `{"indexes": ["${ONLY_INDEX}", "public.${ONLY_INDEX}"]}`,
    `it lists "${ONLY_INDEX}" and "public"."${ONLY_INDEX}", which are the same index. Name each index once.`,
  ],
  [
    'an index of another schema',
    `{"indexes": ["other.${ONLY_INDEX}"]}`,
    `"other"."${ONLY_INDEX}" is not in the registry. Valid names: ${ONLY_INDEX}.`,
  ],
  ['a long name', `{"indexes": ["${'é'.repeat(64)}"]}`, 'a name has at most 127 bytes'],
  [
    'too many names',
    JSON.stringify({ indexes: Array.from({ length: MAX_INDEXES + 1 }, (_, at) => `i${at}`) }),
    'indexes: it lists 1001 names. At most 1000 are possible.',
  ],
  [
    'too many names of a wrong type',
    JSON.stringify({ indexes: Array.from({ length: 50_000 }, () => 1) }),
    'indexes: it lists 50000 names.',
  ],
  [
    'many unknown names',
    JSON.stringify({ indexes: Array.from({ length: MAX_INDEXES }, (_, at) => `${HOSTILE_NAME}${at}`) }),
    'and 995 more are not in the registry',
  ],
  [
    'many unknown fields',
    JSON.stringify(Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`${LINK}${at}`, 1]))),
    'and 1995 more, valid fields: mode, indexes, force, start',
  ],
  ['deep nesting', `{"deep": ${DEEP}}`, 'unknown field "deep"'],
  ['deep nesting in a field', `{"mode": ${DEEP}}`, 'not an object'],
  [
    'a text',
    JSON.stringify(LINES),
    'it must be a JSON object with the optional fields mode, indexes, force, start',
  ],
  ['null', 'null', 'it must be a JSON object'],
])('%s is refused in one line without links', async (_what, json, message) => {
  const { status, cause = '', report } = await workflow.deploy(JSON.parse(json));

  expect(status).toBe('FAILED');
  expect(cause).toContain('Refused before anything was stopped or changed.');
  expect(cause).toContain(message);
  expect(cause.split('\n')).toHaveLength(1);
  expect(cause.length).toBeLessThan(4_100);
  expect(report).toMatchObject({ status: 'failed', failure: cause, downtimeMs: 0 });
  const { Message = '' } = workflow.alerts.at(-1) ?? {};
  expect(Message).toContain(message.replaceAll('<', '\\u003c'));
  expect(Message.match(/^(?:Status|What to do next):/gm)).toHaveLength(2);
  expect(Message).not.toMatch(/:\/\/|www\.|evil\.example|<!|<h|\]\(/);
  for (const text of [cause, Message, ...workflow.log.splice(0)]) expectHarmless(text);
});

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 20)).replaceAll('$', '');
}

test('public.ONLY_INDEX is the index ONLY_INDEX', async () => {
  const { status, report } = await workflow.deploy({ mode: 'plan', indexes: [`public.${ONLY_INDEX}`] });

  expect(status).toBe('SUCCEEDED');
  expect(report.indexes.map(({ name }) => name)).toEqual([ONLY_INDEX]);
});

test('build-indexes refuses an index that is named twice, or not in the registry', async () => {
  const { engine, machines } = workflow.workflow;
  for (const [name, message] of [
    [`public.${ONLY_INDEX}`, 'which are the same index. Name each index once.'],
    [LINES, 'is not in the registry. Valid names: idx_orders_status.'],
  ] as const) {
    const { status, cause = '' } = await engine.start(machines.buildIndexes, { indexes: [ONLY_INDEX, name] })
      .result;
    expect(status).toBe('FAILED');
    expect(cause).toContain(message);
    expectHarmless(cause);
  }
});
