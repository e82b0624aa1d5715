import { describeCaught } from '../../../lambdas/shared/caught-error.ts';
import { humanDuration } from '../../../lambdas/shared/human-units.ts';
import { counted } from '../../../lambdas/shared/text.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { ECS, MAPPING, RULE, START_SERVICES, WINDOW } from '../../workflow/state-names.ts';
import { plain } from '../terminal/styled-text.ts';
import { listAt, numberAt, textAt } from './event-payload.ts';
import { line, type ProgressLine } from './progress-line.ts';
import type { RunProgress } from './run-progress.ts';
import type { ServiceProgress } from './service-progress.ts';

/** States that stop a service: one for each kind of service. */
const STOPS: readonly string[] = [ECS.stop, RULE.disable, MAPPING.disable];
/** States that start a service. */
const STARTS: readonly string[] = [ECS.start, RULE.enable, MAPPING.enable];

/** Applies an event from the Maps "Check Services" and "Stop Services" of `maintenance-window`. */
export function applyStopEvent(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const now = Date.parse(event.at);
  const service = serviceOf(run, event, 'running');
  if (service === undefined) return [];
  if (event.type === 'StateEntered' && STOPS.includes(event.state ?? '')) {
    service.state = 'stopping';
    service.since = now;
    return [line('step', `${service.name} is stopping${taskCount(service)}`)];
  }
  if (event.type !== 'StateExited') return [];
  service.count = numberAt(event.output, 'stateToSave', 'current', 'desiredCount') ?? service.count;
  service.running = numberAt(event.output, 'counts', 'running', '0') ?? service.running;
  switch (event.state) {
    case WINDOW.serviceCannotBeStopped:
      service.state = 'refused';
      return [line('failure', `${service.name} cannot be stopped: ${textAt(event.output, 'reason')}`)];
    case WINDOW.useEarlierState:
      return [
        line('step', `${service.name} will start again with the settings that an earlier deploy saved`),
      ];
    case WINDOW.serviceStopped:
      service.state = 'stopped';
      return [
        line(
          'done',
          `${service.name} stopped after ${humanDuration(now - service.since)}${taskCount(service)}`,
        ),
      ];
    case WINDOW.serviceNotStopped:
      service.state = 'not-stopped';
      return [
        line(
          'failure',
          `${service.name} did not stop before the timeout${stillRunning(service, event.output)}`,
        ),
      ];
    case WINDOW.serviceStopFailed:
      service.state = 'not-stopped';
      return [line('failure', `${service.name} could not be stopped: ${errorAt(event.output, 'error')}`)];
    case WINDOW.serviceStartedByOthers:
      service.state = 'not-stopped';
      return [
        line(
          'failure',
          `${service.name} was started by someone else: its desired count is ${numberAt(event.output, 'counts', 'desired', '0')}`,
        ),
      ];
    default:
      return [];
  }
}

/** Applies an event from the Map "Start Services" of `start-services`. A service without saved state makes no line. */
export function applyStartEvent(run: RunProgress, event: EngineEvent): ProgressLine[] {
  const now = Date.parse(event.at);
  const service = serviceOf(run, event, event.state === START_SERVICES.nothingSaved ? 'running' : 'stopped');
  if (service === undefined) return [];
  if (event.type === 'StateEntered' && STARTS.includes(event.state ?? '')) {
    service.state = 'starting';
    service.since = now;
    return [line('step', `${service.name} is starting${taskCount(service)}`)];
  }
  if (event.type !== 'StateExited') return [];
  service.count = numberAt(event.output, 'savedState', 'value', 'current', 'desiredCount') ?? service.count;
  service.running = runningTasks(event.output) ?? service.running;
  switch (event.state) {
    case START_SERVICES.steady:
      return [steady(service, now)];
    case START_SERVICES.notSteady:
      service.state = 'not-steady';
      return [
        line('failure', `${service.name} did not become steady before the timeout${runningOfCount(service)}`),
      ];
    case START_SERVICES.failed:
      service.state = 'not-started';
      return [
        line('failure', `${service.name} could not be started: ${errorAt(event.output, 'service', 'error')}`),
      ];
    case START_SERVICES.nothingSaved:
      service.state = 'running';
      return [];
    case START_SERVICES.deployStillRunning:
      service.state = 'deploy-running';
      return [line('step', `${service.name} is left to the deploy that stopped it, which is still running`)];
    default:
      return [];
  }
}

/** The error at a path of an output, in one line. */
function errorAt(output: unknown, ...path: string[]): string {
  const text = (field: string) => textAt(output, ...path, field);
  return plain(describeCaught({ Error: text('Error'), Cause: text('Cause') }));
}

function steady(service: ServiceProgress, now: number): ProgressLine {
  const started = service.state === 'starting';
  service.state = 'steady';
  // A rule or a mapping that was disabled before the deploy is not started.
  if (!started) return line('done', `${service.name} stays disabled, as it was before the deploy`);
  const at = service.count === null ? '' : ` with ${counted(service.count, 'task')}`;
  return line('done', `${service.name} is steady${at} after ${humanDuration(now - service.since)}`);
}

/** The tasks that run on the revision of the service, or all of them if ECS does not make its deployments. */
function runningTasks(output: unknown): number | null {
  const [onRevision] = listAt(output, 'tasks', 'onRevision');
  const [all] = listAt(output, 'tasks', 'running');
  const running = onRevision ?? all;
  return typeof running === 'number' ? running : null;
}

/** The service of an event, which is added in `state` if it is new. */
function serviceOf(
  run: RunProgress,
  event: EngineEvent,
  state: ServiceProgress['state'],
): ServiceProgress | undefined {
  // The states that read a saved state know only its name.
  const name = textAt(event.input, 'service', 'name') || textAt(event.input, 'name');
  return name === '' ? undefined : run.services.ensure(name, state, Date.parse(event.at));
}

function taskCount({ count }: ServiceProgress): string {
  return count === null ? '' : ` (${counted(count, 'task')})`;
}

function stillRunning({ running }: ServiceProgress, output: unknown): string {
  if (running !== null && running > 0) return `: ${counted(running, 'task')} still running`;
  const statuses = listAt(output, 'stopping', 'statuses').filter((status) => status !== 'STOPPED');
  return statuses.length === 0 ? '' : `: tasks in ${statuses.join(', ')}`;
}

function runningOfCount({ count, running }: ServiceProgress): string {
  return count === null ? '' : `: ${running ?? 0} of ${counted(count, 'task')} running`;
}
