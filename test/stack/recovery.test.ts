import type { Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { everyKindInput, prodInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { permissionsOf, type Resource, resolveValue, resourcesOfType } from './support/template-values.ts';

let synthesised: Synthesised;
let template: Template;

beforeAll(async () => {
  synthesised = await synthesise({ prod: everyKindInput(), none: { ...prodInput(), services: [] } });
  template = synthesised.template('prod');
});
afterAll(() => synthesised?.dispose());

const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:222222222222:${rest}`;
const RULES = ['recovery', 'reconcile', 'stack-updated'];
const START = arn('states', 'stateMachine:pg-deploy-step-prod-start-services');

interface Target {
  Arn: unknown;
  Input?: string;
  InputTransformer?: { InputPathsMap: Record<string, string>; InputTemplate: string };
  RoleArn: { 'Fn::GetAtt': [string, string] };
}

function rule(name: string): Resource['Properties'] {
  const found = resourcesOfType(template, 'AWS::Events::Rule').find(
    ([, { Properties: properties }]) => properties.Name === `pg-deploy-step-prod-${name}`,
  );
  if (found === undefined) throw new Error(`No rule ${name}.`);
  return found[1].Properties;
}

function onlyTarget(name: string): Target {
  const [target, ...more] = rule(name).Targets as Target[];
  expect(more).toEqual([]);
  if (target === undefined) throw new Error(`The rule ${name} has no target.`);
  return target;
}

test('a deploy that failed, timed out or was aborted starts the recovery', () => {
  expect(rule('recovery').State).toBe('ENABLED');
  expect(resolveValue(template, rule('recovery').EventPattern)).toEqual({
    source: ['aws.states'],
    'detail-type': ['Step Functions Execution Status Change'],
    detail: {
      status: ['FAILED', 'TIMED_OUT', 'ABORTED'],
      stateMachineArn: [arn('states', 'stateMachine:pg-deploy-step-prod-deploy')],
    },
  });
});

test('the input of the recovery names the reason and the deploy', () => {
  const target = onlyTarget('recovery');

  expect(resolveValue(template, target.Arn)).toBe(START);
  const { InputPathsMap: paths, InputTemplate: input } = target.InputTransformer ?? {
    InputPathsMap: {},
    InputTemplate: '',
  };
  const event = JSON.parse(
    // EventBridge inserts a text value with quotation marks.
    input.replace(/<([^>]+)>/g, (_match, name: string) => JSON.stringify(`the value of ${paths[name]}`)),
  );
  expect(event).toEqual({
    reason: 'deploy-ended',
    deploy: 'the value of $.detail.name',
    status: 'the value of $.detail.status',
  });
});

test('the schedule starts the recovery every 10 minutes, while a state is saved', () => {
  expect(rule('reconcile')).toMatchObject({ State: 'DISABLED', ScheduleExpression: 'rate(10 minutes)' });
  expect(resolveValue(template, onlyTarget('reconcile').Arn)).toBe(START);
  expect(JSON.parse(onlyTarget('reconcile').Input ?? '')).toEqual({ reason: 'reconcile' });
});

test('an update of this stack starts the recovery, because it can disable the schedule', () => {
  expect(rule('stack-updated')).toMatchObject({
    State: 'ENABLED',
    EventPattern: {
      source: ['aws.cloudformation'],
      'detail-type': ['CloudFormation Stack Status Change'],
      detail: {
        'stack-id': [{ Ref: 'AWS::StackId' }],
        'status-details': {
          status: ['CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE', 'IMPORT_COMPLETE'],
        },
      },
    },
  });
  expect(JSON.parse(onlyTarget('stack-updated').Input ?? '')).toEqual({ reason: 'stack-updated' });
});

test('the rules may start start-services and nothing else', () => {
  for (const name of RULES) {
    const [role] = onlyTarget(name).RoleArn['Fn::GetAtt'];
    expect(permissionsOf(template, role)).toEqual([`states:StartExecution on ${START}`]);
  }
  expect(resourcesOfType(template, 'AWS::Events::Rule')).toHaveLength(RULES.length);
});

test('nothing of an idle stack runs by itself', () => {
  for (const name of ['prod', 'none']) {
    const schedules = resourcesOfType(synthesised.template(name), 'AWS::Events::Rule').filter(
      ([, { Properties: properties }]) =>
        properties.ScheduleExpression !== undefined && properties.State !== 'DISABLED',
    );
    expect(schedules).toEqual([]);
    expect(resourcesOfType(synthesised.template(name), 'AWS::Scheduler::Schedule')).toEqual([]);
  }
});

test('an environment without services has a recovery too, because its last service may be stopped', () => {
  expect(resourcesOfType(synthesised.template('none'), 'AWS::Events::Rule')).toHaveLength(RULES.length);
});
