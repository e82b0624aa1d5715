import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Definition, definitionsOf, stateOf, statesOf } from './support/definitions.ts';
import { prodInput, type Synthesised, synthesise } from './support/synthesise.ts';

/* The states for revisions that the input of a deploy names, which only services with `roles` have. */

const SERVICE = { name: 'api', cluster: 'prod', service: 'shop-api' };
const ROLES = { task: 'arn:aws:iam::222222222222:role/task', execution: 'none' };

let synthesised: Synthesised;

beforeAll(async () => {
  synthesised = await synthesise({
    without: { ...prodInput(), services: [SERVICE] },
    with: { ...prodInput(), services: [{ ...SERVICE, roles: ROLES }] },
  });
});
afterAll(() => synthesised?.dispose());

const definitions = (environment: 'with' | 'without'): Record<string, Definition> =>
  definitionsOf(synthesised.template(environment), environment);

const state = (machine: string, name: string) => {
  const definition = definitions('with')[machine];
  if (definition === undefined) throw new Error(`There is no state machine ${machine}.`);
  return stateOf(definition, name);
};

test('without roles no state of a deploy or a window sets a revision', () => {
  const { deploy, 'maintenance-window': window } = definitions('without');
  const names = [deploy, window].flatMap((definition) =>
    definition === undefined ? [] : Object.keys(statesOf(definition)),
  );

  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => /Revision|Completed Deploy|Update/.test(name))).toEqual([]);
});

test('preflight gets the names of the services with roles, and the window finds the revision of each', () => {
  expect(state('deploy', 'Preflight').Parameters).toMatchObject({ Payload: { services: ['api'] } });
  expect(state('maintenance-window', 'Begin Window').Parameters).toMatchObject({
    services: [
      { ...SERVICE, roles: ROLES, 'requested.$': "$.taskDefinitions[?(@.name == 'api')].taskDefinition" },
    ],
  });
});

test('a revision is looked up before any service is stopped, and a missing one is refused', () => {
  expect(state('maintenance-window', 'Describe Task Definition')).toMatchObject({
    Resource: 'arn:aws:states:::aws-sdk:ecs:describeTaskDefinition',
    Parameters: { 'TaskDefinition.$': '$.service.requested[0]' },
    Catch: [
      { ErrorEquals: ['Ecs.ClientException'], Next: 'Revision Not Found' },
      { ErrorEquals: ['States.DataLimitExceeded'], Next: 'Service Not Checked' },
      { ErrorEquals: ['States.ALL'], Next: 'Service Not Checked' },
    ],
  });
  expect(state('maintenance-window', 'Revision Usable?')).toMatchObject({ Default: 'Record Count' });
});

test('the end of the window is saved before the services start or are held', () => {
  expect(state('deploy', 'Save Completed Deploy')).toMatchObject({
    Parameters: { Name: '/pg-deploy-step/with/completed', 'Value.$': '$$.Execution.Id', Overwrite: true },
    Next: 'Hold After Window?',
    Catch: [{ Next: 'Start Services' }, { Next: 'Start Services' }],
  });
});

test('one call sets the count and the revision, and its error starts the service without the revision', () => {
  expect(state('start-services', 'Start Tasks On Revision')).toMatchObject({
    Resource: 'arn:aws:states:::aws-sdk:ecs:updateService',
    Parameters: {
      'Cluster.$': '$.service.cluster',
      'Service.$': '$.service.service',
      'DesiredCount.$': '$.savedState.value.current.desiredCount',
      'TaskDefinition.$': '$.revision.arn',
    },
    Catch: [{ Next: 'Start Tasks' }, { Next: 'Start Tasks' }],
  });
});

test('an update of running services does not set their count', () => {
  expect(state('maintenance-window', 'Update Revision').Parameters).toEqual({
    'Cluster.$': '$.service.cluster',
    'Service.$': '$.service.service',
    'TaskDefinition.$': '$.service.revision.to[0]',
  });
});
