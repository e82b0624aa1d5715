import validateDefinition from 'asl-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as errors from '../../lambdas/shared/errors.ts';
import {
  type Definition,
  definitionsOf,
  MACHINES,
  type MachineName,
  reachableWithout,
  statesOf,
} from './support/definitions.ts';
import {
  ecsTaskInput,
  ecsTaskOnEc2Input,
  everyKindInput,
  lambdaInput,
  prodInput,
  type Synthesised,
  synthesise,
} from './support/synthesise.ts';

/** An environment for each setting that changes a definition. */
const ENVIRONMENTS = {
  prod: prodInput(),
  'after-start': { ...prodInput(), builds: { when: 'after-start' as const } },
  'start-anyway': { ...prodInput(), onCriticalFailure: 'start' as const },
  'no-migrations': { ...prodInput(), migrations: 'none' },
  'no-services': { ...prodInput(), services: [] },
  'no-services-drain': { ...prodInput(), services: [], drain: { roles: ['app'] } },
  'every-kind': everyKindInput(),
  'only-rules': {
    ...prodInput(),
    services: [{ name: 'nightly', kind: 'event-rule' as const, rule: 'nightly' }],
  },
  drain: { ...prodInput(), drain: { roles: ['app'] } },
  'drain-no-migrations': { ...prodInput(), migrations: 'none', drain: { roles: ['app'] } },
  window: { ...prodInput(), windowMinutes: 30 },
  'leave-on-migration': { ...prodInput(), onMigrationFailure: 'leave-stopped' as const },
  'ecs-task': ecsTaskInput(),
  'ecs-task-ec2': ecsTaskOnEc2Input(),
  'own-function': lambdaInput(),
  'one-attempt': { ...prodInput(), builds: { attempts: 1 } },
};

const kindOf = (service: { kind?: string | undefined }) => service.kind ?? 'ecs';

let synthesised: Synthesised;
const definitions = new Map<string, Record<MachineName, Definition>>();

beforeAll(async () => {
  synthesised = await synthesise(ENVIRONMENTS, { validate: true });
  for (const name of Object.keys(ENVIRONMENTS)) {
    definitions.set(name, definitionsOf(synthesised.template(name), name));
  }
});
afterAll(() => synthesised?.dispose());

function machine(environmentName: string, name: MachineName): Definition {
  const definition = definitions.get(environmentName)?.[name];
  if (definition === undefined) throw new Error(`${environmentName} has no state machine ${name}.`);
  return definition;
}

describe.each(Object.keys(ENVIRONMENTS))('the environment %s', (environmentName) => {
  test('has the four state machines', () => {
    expect(Object.keys(definitions.get(environmentName) ?? {}).sort()).toEqual([...MACHINES].sort());
  });

  test.each(MACHINES)('%s is accepted by asl-validator', (name) => {
    const result = validateDefinition(structuredClone(machine(environmentName, name)));

    expect(result.errorsText('\n')).toBe('');
    expect(result.isValid).toBe(true);
  });

  test.each(MACHINES)(
    '%s uses JSONPath and inline Maps, and JSONata only for schedules and functions',
    (name) => {
      const definition = machine(environmentName, name);
      const states = Object.values(statesOf(definition));

      expect(definition.QueryLanguage).toBeUndefined();
      const jsonata = states.filter(({ QueryLanguage: language }) => language === 'JSONata');
      expect(jsonata.every(({ Type: type }) => type === 'Task')).toBe(true);
      const kinds: unknown[] = (
        ENVIRONMENTS[environmentName as keyof typeof ENVIRONMENTS].services ?? []
      ).map(kindOf);
      // Start Services has the states of all kinds.
      const isUsed = name === 'start-services' || kinds.includes('schedule') || kinds.includes('custom');
      expect(jsonata.length > 0).toBe(isUsed && (name === 'start-services' || name === 'maintenance-window'));
      const maps = states.filter((state) => state.Type === 'Map');
      expect(maps.map((map) => map.ItemProcessor?.ProcessorConfig.Mode)).toEqual(maps.map(() => 'INLINE'));
    },
  );

  test.each(MACHINES)('every Task state of %s has a time limit', (name) => {
    const taskStates = Object.entries(statesOf(machine(environmentName, name))).filter(
      ([, state]) => state.Type === 'Task',
    );

    expect(taskStates.filter(([, state]) => !(state.TimeoutSeconds && state.TimeoutSeconds > 0))).toEqual([]);
    expect(machine(environmentName, name).TimeoutSeconds).toBeGreaterThan(0);
  });

  test.each(MACHINES)('every state of %s is reachable', (name) => {
    const definition = machine(environmentName, name);

    expect(Object.keys(reachableWithout(definition)).sort()).toEqual(
      Object.keys(statesOf(definition)).sort(),
    );
  });

  test.each(MACHINES)('every Choice of %s covers all cases', (name) => {
    const kinds = [
      ...new Set((ENVIRONMENTS[environmentName as keyof typeof ENVIRONMENTS].services ?? []).map(kindOf)),
    ];
    for (const [choice, state] of Object.entries(statesOf(machine(environmentName, name)))) {
      if (state.Type !== 'Choice' || state.Default !== undefined) continue;
      // Start Services has all kinds, whatever is configured, and a Default. Only the configured kinds reach this state, and there is a branch for each of them.
      expect(choice).toMatch(/^Which Kind /);
      expect(
        state.Choices?.map(({ Variable: variable, StringEquals: kind }) => [variable, kind]).sort(),
      ).toEqual(kinds.map((kind) => ['$.service.kind', kind]).sort());
    }
  });

  test.each(MACHINES)('%s retries only named errors', (name) => {
    const retried = Object.values(statesOf(machine(environmentName, name))).flatMap((state) =>
      (state.Retry ?? []).flatMap((retrier) => retrier.ErrorEquals),
    );

    expect(retried).not.toContain('States.ALL');
    // States.TaskFailed matches every error of a function.
    if (name !== 'deploy') expect(retried).not.toContain('States.TaskFailed');
  });
});

test('the names of our own errors in a Retry are the names of error classes', () => {
  const ours = [...definitions.values()]
    .flatMap((machines) => Object.values(machines))
    .flatMap((definition) => Object.values(statesOf(definition)))
    .flatMap((state) => [...(state.Retry ?? []), ...(state.Catch ?? [])])
    .flatMap((rule) => rule.ErrorEquals)
    .filter((name) => !name.includes('.'));
  const thrown = Object.values(errors)
    .filter((value) => typeof value === 'function' && value.prototype instanceof errors.DeployStepError)
    .map((errorClass) => new (errorClass as typeof errors.BuildFailed)('').name as string);

  // By which a function of the user asks for another attempt.
  const ofUsers = ['RetryLater'];
  expect([...new Set(ours)].sort()).toEqual([
    'BuildInterrupted',
    'ConnectionLost',
    'Deadlock',
    'LockNotAvailable',
    'MigrationLocked',
    'MigrationsRunning',
    ...ofUsers,
  ]);
  expect([...thrown, ...ofUsers]).toEqual(expect.arrayContaining(ours));
});

test.each(['after-start', 'window'])(
  'the remaining indexes are built online after the start (%s)',
  (name) => {
    const deploy = machine(name, 'deploy').States;

    expect(deploy['Start Services']?.Next).toBe('Builds Remaining?');
    expect(deploy['Builds Remaining?']).toMatchObject({
      Choices: [
        {
          Or: [
            {
              And: [
                { Variable: '$.window.output.verdict', IsPresent: true },
                { Variable: '$.window.output.verdict', StringEquals: 'ok' },
              ],
            },
            // The start that ends a hold.
            {
              And: [
                { Variable: '$.start.output.marker', IsPresent: true },
                { Variable: '$.start.output.marker', StringMatches: '*"hold":{*' },
              ],
            },
          ],
          Next: 'Build Indexes Online',
        },
      ],
      Default: 'Report',
    });
  },
);

test('with builds.when after-start, the window builds only critical indexes', () => {
  const window = machine('after-start', 'maintenance-window').States;

  expect(window['Build Indexes']?.Parameters).toMatchObject({ Input: { scope: 'critical' } });
  expect(machine('prod', 'maintenance-window').States['Build Indexes']?.Parameters).toMatchObject({
    Input: { scope: 'all' },
  });
  expect(machine('prod', 'deploy').States).not.toHaveProperty('Builds Remaining?');
});

test('onCriticalFailure decides whether the services start after a critical index has failed', () => {
  const failed = (environmentName: string) =>
    machine(environmentName, 'maintenance-window').States['Critical Index Failed']?.Parameters;

  expect(failed('prod')).toMatchObject({ verdict: 'critical-failed', services: 'leave-stopped' });
  expect(failed('start-anyway')).toMatchObject({ verdict: 'critical-failed', services: 'start' });
});

test('without migrations the builds follow the stopped services', () => {
  const { States: states } = machine('no-migrations', 'maintenance-window');

  expect(states).not.toHaveProperty('Run Migrations');
  expect(states['All Services Stopped?']?.Default).toBe('No Migrations Configured');
  expect(machine('drain-no-migrations', 'maintenance-window').States['No Sessions Left']?.Next).toBe(
    'No Migrations Configured',
  );
  expect(states['No Migrations Configured']?.Next).toBe('Check Counts Before Builds');
  expect(states['Counts Still 0 Before Builds?']?.Default).toBe('Build Indexes');
});

test('without services no state stops a service, and services that were stopped before are started', () => {
  const window = machine('no-services', 'maintenance-window');

  expect(window.States['Begin Window']?.Next).toBe('Run Migrations');
  expect(window.States).not.toHaveProperty('Stop Services');
  expect(Object.keys(statesOf(machine('no-services', 'start-services'))).sort()).toEqual(
    Object.keys(statesOf(machine('every-kind', 'start-services'))).sort(),
  );
  expect(machine('no-services-drain', 'maintenance-window').States['Begin Window']?.Next).toBe('Begin Drain');
});

test('onMigrationFailure decides whether the services start after a failed migration', () => {
  const failed = (environmentName: string) =>
    machine(environmentName, 'maintenance-window').States['Migration Failed']?.Parameters;

  expect(failed('prod')).toMatchObject({ services: 'start' });
  expect(failed('leave-on-migration')).toMatchObject({ services: 'leave-stopped' });
});

test('the window contains only the configured kinds of services', () => {
  const names = (environmentName: string) =>
    Object.keys(statesOf(machine(environmentName, 'maintenance-window')));
  const of = (environmentName: string, kind: RegExp) =>
    names(environmentName).filter((name) => kind.test(name));
  const ecs = /\bTasks\b|Scaling|Daemon|Describe Service/;

  expect(of('prod', /Rule|Mapping/)).toEqual([]);
  expect(of('prod', ecs)).not.toEqual([]);
  expect(of('only-rules', /Mapping/)).toEqual([]);
  expect(of('only-rules', ecs)).toEqual([]);
  expect(of('only-rules', /Rule/)).not.toEqual([]);
  for (const kind of [ecs, /Rule/, /Mapping/]) expect(of('every-kind', kind)).not.toEqual([]);
});

test('with one attempt, a build is not retried', () => {
  const retried = (environmentName: string) =>
    (statesOf(machine(environmentName, 'build-indexes'))['Build Index']?.Retry ?? []).flatMap(
      (retrier) => retrier.ErrorEquals,
    );

  expect(retried('prod')).toContain('LockNotAvailable');
  expect(retried('one-attempt')).not.toContain('LockNotAvailable');
});
