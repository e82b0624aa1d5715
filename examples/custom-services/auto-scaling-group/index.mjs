import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  ResumeProcessesCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';

/*
 * Stops an Auto Scaling group: no scaling, no instances.
 * Saved: { min, desired, suspended }, the processes that were suspended before.
 */

const autoScaling = new AutoScalingClient();
const AutoScalingGroupName = process.env.STOPPED_GROUP;

/** What would change the desired capacity while the group is stopped: alarms with target tracking, schedules and predictions. */
const SCALING = ['AlarmNotification', 'ScheduledActions'];
/** Without these, the group cannot be stopped or started. */
const NEEDED = ['Launch', 'Terminate'];

/** Errors that another attempt can fix. The workflow asks again, for some minutes. */
const RETRIED = [
  'ScalingActivityInProgressFault',
  'ResourceContentionFault',
  'ThrottlingException',
  'Throttling',
];

export async function handler({ action, state }) {
  const actions = { check, stop, look: () => look(state), start: () => start(state) };
  try {
    return await actions[action]();
  } catch (error) {
    if (RETRIED.includes(error.name)) throw Object.assign(new Error(error.message), { name: 'RetryLater' });
    throw error;
  }
}

async function check() {
  const group = await read();
  const reason = group === undefined ? 'it does not exist' : refusal(group);
  if (reason !== undefined)
    return { usable: false, reason: `the Auto Scaling group ${AutoScalingGroupName}: ${reason}` };
  return { usable: true, state: { min: group.min, desired: group.desired, suspended: group.suspended } };
}

/** Why the group cannot be stopped, or not be restored. Undefined: it can. */
function refusal({ isDeleted, suspended, instances, hasWarmPool }) {
  const stuck = suspended.filter((process) => NEEDED.includes(process));
  if (isDeleted) return 'it is being deleted';
  if (stuck.length > 0) return `${stuck.join(' and ')} is suspended: resume it`;
  if (instances.some((instance) => instance.ProtectedFromScaleIn))
    return 'an instance is protected from scale in, so that it would not be terminated';
  if (hasWarmPool) return 'it has a warm pool, whose instances would stay';
  return undefined;
}

async function stop() {
  await autoScaling.send(new SuspendProcessesCommand({ AutoScalingGroupName, ScalingProcesses: SCALING }));
  await autoScaling.send(
    new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, MinSize: 0, DesiredCapacity: 0 }),
  );
}

/** The list of instances has those that are being terminated too, until they are. */
async function look(before) {
  const { min, desired, suspended, instances } = await existing();
  const inService = instances.filter(
    (instance) => instance.LifecycleState === 'InService' && instance.HealthStatus === 'Healthy',
  );
  return {
    stopped: desired === 0 && instances.length === 0,
    started:
      min >= before.min &&
      (desired > 0 || before.desired === 0) &&
      inService.length >= desired &&
      toResume(before).every((process) => !suspended.includes(process)),
  };
}

async function start(before) {
  const { min, max, desired, suspended } = await existing();
  // Not again what scaling, or someone else, has changed since then.
  if (min < before.min || (desired === 0 && before.desired > 0)) {
    await autoScaling.send(
      new UpdateAutoScalingGroupCommand({
        AutoScalingGroupName,
        MinSize: Math.min(before.min, max),
        DesiredCapacity: Math.min(Math.max(before.desired, desired), max),
      }),
    );
  }
  const ScalingProcesses = toResume(before).filter((process) => suspended.includes(process));
  // An empty list would resume all processes.
  if (ScalingProcesses.length > 0)
    await autoScaling.send(new ResumeProcessesCommand({ AutoScalingGroupName, ScalingProcesses }));
}

function toResume({ suspended }) {
  return SCALING.filter((process) => !suspended.includes(process));
}

async function existing() {
  const group = await read();
  if (group === undefined) throw new Error(`The Auto Scaling group ${AutoScalingGroupName} does not exist.`);
  return group;
}

async function read() {
  const { AutoScalingGroups: [group] = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [AutoScalingGroupName] }),
  );
  return (
    group && {
      min: group.MinSize,
      max: group.MaxSize,
      desired: group.DesiredCapacity,
      suspended: (group.SuspendedProcesses ?? []).map(({ ProcessName }) => ProcessName),
      instances: group.Instances ?? [],
      isDeleted: group.Status !== undefined,
      hasWarmPool: group.WarmPoolConfiguration !== undefined,
    }
  );
}
