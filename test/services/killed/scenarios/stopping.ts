import { ECS, WINDOW } from '../../../../lib/workflow/state-names.ts';
import type { Scenario } from '../kill-in-each-state.ts';
import { change, removeFirst, removeLast, type Undo } from '../world.ts';

/** Services that do not stop as they should. */
export const STOPPING: readonly Scenario[] = [
  {
    name: 'a service that does not stop',
    prepare: async (world) => ({
      onState: (state) => {
        if (state === WINDOW.checkServices) world.signalWorker('SIGSTOP');
        if (state === WINDOW.verdicts.servicesNotStopped) world.signalWorker('SIGCONT');
      },
      remove: async () => world.signalWorker('SIGCONT'),
    }),
    killedIn: { 'maintenance-window': 'Service Not Stopped, Services Not Stopped' },
  },
  {
    name: 'a service that is deleted while it is stopped',
    prepare: async (world) => {
      let restore: (() => void) | undefined;
      return {
        onState: (state) => {
          if (state === WINDOW.checkServices) world.signalWorker('SIGSTOP');
          if (state === ECS.stopping.wait) restore ??= world.deleteWorker();
        },
        remove: async () => {
          restore?.();
          world.signalWorker('SIGCONT');
        },
      };
    },
    killedIn: { 'maintenance-window': 'Service Gone While Stopping, Service Stop Failed' },
  },
  {
    name: 'tasks that a load balancer deregisters, on several pages',
    prepare: async ({ worker }) => {
      const at = new Date().toISOString();
      const task = { pid: 0, deployment: 'd', taskDefinition: 'worker:1', startedAt: at, stoppedAt: at };
      const stoppedTasks = Array.from({ length: 25 }, (_, number) => ({
        ...task,
        id: `${number}`,
        stoppingSince: at,
      }));
      Object.assign(worker, { deregistrationDelaySeconds: 2, stoppedTasks });
      return {
        remove: async () => Object.assign(worker, { deregistrationDelaySeconds: 0, stoppedTasks: [] }),
      };
    },
    killedIn: {
      'maintenance-window':
        'Wait For Listed Tasks, Count Listed Check, Count Stopping Check, List More Stopping Tasks',
    },
  },
  {
    name: 'a service that someone else starts while it stops',
    prepare: async (world) => ({
      onState: (state) => {
        if (state === ECS.stopped.begin) world.worker.desiredCount = 2;
      },
    }),
    killedIn: {
      'maintenance-window': 'Wait For Tasks To Stop, Service Started By Others, Services Started By Others',
    },
  },
  {
    name: 'a service that someone else starts after it has stopped',
    prepare: async (world) => ({
      onState: (state) => {
        if (state === WINDOW.summarizeStopped) world.worker.desiredCount = 2;
      },
    }),
    killedIn: {},
  },
];

/** A change of the state of the local AWS, as a scenario's conditions. */
const until = (remove: Undo) => ({ remove });

/** Services that cannot be stopped, so that a deploy stops none of them. */
export const REFUSED: readonly Scenario[] = [
  {
    name: 'a service that does not exist',
    prepare: async ({ aws }) => until(removeLast(aws.ecs.services)),
    killedIn: {
      'maintenance-window': 'Service Not Found, Service Cannot Be Stopped, Services Cannot Be Stopped',
    },
  },
  {
    name: 'a scalable target that does not exist',
    prepare: async ({ aws }) => until(removeLast(aws.scaling.targets)),
    killedIn: { 'maintenance-window': 'Scaling Not Found' },
  },
  {
    name: 'a rule that does not exist',
    prepare: async ({ aws }) => until(removeFirst(aws.eventBridge.rules)),
    killedIn: { 'maintenance-window': 'Rule Not Found' },
  },
  {
    name: 'a mapping that does not exist',
    prepare: async ({ aws }) => until(removeLast(aws.lambda.mappings)),
    killedIn: { 'maintenance-window': 'Mapping Not Found' },
  },
  {
    name: 'a mapping that is changing',
    prepare: async ({ aws }) => until(change(aws.lambda.mappings[0], { staleReads: 99 })),
    killedIn: { 'maintenance-window': 'Mapping Is Changing' },
  },
  {
    name: 'a rule whose state could not be restored',
    prepare: async ({ aws }) =>
      until(change(aws.eventBridge.rules[0], { state: 'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS' })),
    killedIn: { 'maintenance-window': 'Rule Cannot Be Restored' },
  },
  {
    name: 'a service in the middle of a deployment',
    prepare: async ({ worker }) =>
      until(change(worker.deployments[0], { rolloutState: 'IN_PROGRESS', bakes: true })),
    killedIn: {
      'maintenance-window': 'Wait For Deployment, Count Deployment Check, Deployment Still Running',
    },
  },
  {
    name: 'a deployment that ends while the deploy waits for it',
    prepare: async ({ worker }) => ({
      onState: (state) => {
        if (state === ECS.waitForDeployment) Object.assign(worker.deployments[0] ?? {}, { bakes: false });
      },
      remove: change(worker.deployments[0], { rolloutState: 'IN_PROGRESS', bakes: true }),
    }),
    killedIn: { 'maintenance-window': 'Check Services Again' },
  },
  {
    name: 'a service whose last deployment failed',
    prepare: async ({ worker }) => until(change(worker.deployments[0], { rolloutState: 'FAILED' })),
    killedIn: { 'maintenance-window': 'Last Deployment Failed' },
  },
  {
    name: 'a service that is a daemon',
    prepare: async ({ aws }) => until(change(aws.ecs.services[1], { schedulingStrategy: 'DAEMON' })),
    killedIn: { 'maintenance-window': 'Service Is A Daemon' },
  },
];
