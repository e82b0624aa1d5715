import { expect } from 'vitest';
import type { ServiceState } from '../../../../lib/local/aws/state-file.ts';
import { ECS } from '../../../../lib/workflow/state-names.ts';
import type { Scenario } from '../kill-in-each-state.ts';
import { change, type World } from '../world.ts';

/** The revisions that the deploys of these scenarios name. */
const TO_2 = { taskDefinitions: { api: 'api:2', worker: 'worker:2' } };

async function updateService({ workflow }: World, Service: string, changed: object): Promise<void> {
  await workflow.aws.call(
    'arn:aws:states:::aws-sdk:ecs:updateService',
    { Cluster: 'demo', Service, ...changed },
    AbortSignal.timeout(60_000),
  );
}

const revisionOf = ({ deployments, tasks }: ServiceState) => {
  const running = tasks.filter(({ stoppingSince }) => stoppingSince === undefined);
  const found = new Set([deployments[0], ...running].map((one) => one?.taskDefinition.split(':')[1]));
  return [...found].join();
};

/** After the recovery, all services run on the old revisions or all on the new ones. Then they get the old ones again. */
async function onOneRevision(world: World): Promise<void> {
  await world.workflow.aws.steady();
  const revisions = world.aws.ecs.services.map(revisionOf);
  expect(['1,1', '2,2']).toContain(revisions.join());
  await restoreRevisions(world);
}

async function restoreRevisions(world: World): Promise<void> {
  for (const service of world.aws.ecs.services) {
    for (const deployment of service.deployments) deployment.bakes = false;
    await updateService(world, service.service, { TaskDefinition: `${service.service}:1` });
  }
  await world.workflow.aws.steady();
}

/** A deploy that holds the services, to start on new revisions. */
async function heldWithRevisions(world: World): Promise<void> {
  await world.workflow.start({}).ended;
  await world.workflow.start({ start: 'hold', force: true, ...TO_2 }).ended;
}

/** A revision that the service worker cannot have. */
function refused(
  name: string,
  state: string,
  prepare: (world: World) => ReturnType<typeof change>,
): Scenario {
  return {
    name: `a revision ${name}`,
    input: { taskDefinitions: { worker: name === 'that does not exist' ? 'worker:9' : 'worker:3' } },
    prepare: async (world) => ({ remove: prepare(world) }),
    killedIn: { 'maintenance-window': state },
  };
}

const thirdRevision = ({ aws }: World) =>
  aws.ecs.taskDefinitions.find(({ family, revision }) => family === 'worker' && revision === 3);

/** Deploys that have nothing else to do than to give the service worker a new revision. */
const UPDATE = { taskDefinitions: { worker: 'worker:2' } };

async function upToDate(world: World): Promise<void> {
  await world.workflow.start({}).ended;
}

/** The new deployment of the service worker. */
const newDeployment = ({ worker }: World) =>
  worker.deployments.find(({ taskDefinition }) => taskDefinition === 'worker:2');

/** Deploys that give services other revisions. */
export const REVISIONS: readonly Scenario[] = [
  {
    name: 'a deploy with new revisions',
    input: TO_2,
    prepare: async (world) => ({ removeAfterRecovery: async () => await onOneRevision(world) }),
    killedIn: {
      deploy: 'Save Completed Deploy, Hold After Window?',
      'maintenance-window': `
        Revision Set By ECS?, Describe Task Definition, Record Revision, Revision Usable?`,
      'start-services': `
        Read Completed Deploy, Deploy Completed?, Use Revision, Held With Revision?, Start Tasks On Revision`,
    },
  },
  {
    name: 'a start that ends a hold with revisions, of a service that already runs',
    input: { mode: 'start-services' },
    prepare: async (world) => {
      await heldWithRevisions(world);
      await updateService(world, 'worker', { DesiredCount: 1 });
      await world.workflow.aws.steady();
      return { removeAfterRecovery: async () => await onOneRevision(world) };
    },
    killedIn: { 'start-services': 'Set Revision Of Running Tasks' },
  },
  {
    name: 'a deploy that ends a hold with revisions',
    input: { force: true },
    prepare: async (world) => {
      await heldWithRevisions(world);
      return { removeAfterRecovery: async () => await onOneRevision(world) };
    },
    killedIn: {
      'maintenance-window': `
        Read Earlier Completed Deploy, Earlier Deploy Completed?, Use Due Revision Of Earlier Deploy`,
      'start-services': 'Use Due Revision',
    },
  },
];

export const REFUSED_REVISIONS: readonly Scenario[] = [
  refused('that does not exist', 'Revision Not Found', () => async () => {}),
  refused('that was deregistered', 'Revision Not Active', (world) =>
    change(thirdRevision(world), { status: 'INACTIVE' }),
  ),
  refused('of another family', 'Revision Of Other Family', ({ worker }) =>
    change(worker.deployments[0], { taskDefinition: 'other:1' }),
  ),
  refused('with another role', 'Revision With Other Roles', (world) =>
    change(thirdRevision(world), { taskRoleArn: 'arn:aws:iam::000000000000:role/other' }),
  ),
  refused('of a service of another controller', 'Revision Set By Other Controller', ({ worker }) =>
    change(worker, { deploymentController: 'CODE_DEPLOY' }),
  ),
];

/** Deploys that update running services. */
export const UPDATES: readonly Scenario[] = [
  {
    name: 'a deploy that only updates a service',
    input: UPDATE,
    prepare: async (world) => {
      await upToDate(world);
      return { removeAfterRecovery: async () => await restoreRevisions(world) };
    },
    killedIn: {
      deploy: 'Start Services Before Update, Update Revisions, Hold After Update?',
      'maintenance-window': `
        Service Not Updated, Update Services, Revision To Update?, Service Unchanged, Update Revision,
        Begin Update Checks, Check Update, Update Ended?, Wait For Update, Count Update Check, Revision Running?,
        Service Updated, Revisions Updated`,
    },
  },
  {
    name: 'a deploy that only updates a service, whose deployment fails',
    input: UPDATE,
    prepare: async (world) => {
      await upToDate(world);
      return {
        onState: (state) => {
          if (state === ECS.update.checks.check) change(newDeployment(world), { rolloutState: 'FAILED' });
        },
        removeAfterRecovery: async () => await restoreRevisions(world),
      };
    },
    killedIn: { 'maintenance-window': 'Revision Not Running, Service Update Failed' },
  },
  {
    name: 'a deploy that only updates a service, whose deployment does not end',
    input: UPDATE,
    prepare: async (world) => {
      await upToDate(world);
      return {
        onState: (state) => {
          if (state === ECS.update.checks.check) change(newDeployment(world), { bakes: true });
        },
        removeAfterRecovery: async () => await restoreRevisions(world),
      };
    },
    killedIn: { 'maintenance-window': 'Service Update Not Ended' },
  },
];
