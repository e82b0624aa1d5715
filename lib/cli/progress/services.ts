import { counted } from '../../../lambdas/shared/text.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { ECS, MAPPING, RULE, START_SERVICES, WINDOW } from '../../workflow/state-names.ts';
import { line, type ProgressLine } from './line.ts';
import { numberAt, textAt } from './payload.ts';
import { humanDuration } from './units.ts';

export interface ServiceProgress {
  readonly name: string;
  state:
    | 'running'
    | 'refused'
    | 'stopping'
    | 'stopped'
    | 'not-stopped'
    | 'starting'
    | 'steady'
    | 'not-steady'
    | 'left-to-its-deploy';
  /** The count that it had before and is to have again. Null: not known, or nothing that has tasks. */
  count: number | null;
  running: number | null;
  /** When the present state's work began, in milliseconds since 1970. */
  since: number;
}

/** States that stop a service, by its kind: ecs, event-rule, event-source-mapping. */
const STOPS: readonly string[] = [ECS.stop, RULE.disable, MAPPING.disable];
/** States that start one. */
const STARTS: readonly string[] = [ECS.start, RULE.enable, MAPPING.enable];

/** What becomes of the services, from the events of the Maps that check, stop and start them. */
export class ServicesProgress {
  readonly #services = new Map<string, ServiceProgress>();

  get all(): readonly ServiceProgress[] {
    return [...this.#services.values()];
  }

  /** An event of maintenance-window inside its Maps "Check Services" and "Stop Services". */
  applyStop(event: EngineEvent): ProgressLine[] {
    const now = Date.parse(event.at);
    const service = this.#of(event, 'running');
    if (service === undefined) return [];
    if (event.type === 'StateEntered' && STOPS.includes(event.state ?? '')) {
      service.state = 'stopping';
      service.since = now;
      return [line('step', `${service.name} stops${ofCount(service)}`)];
    }
    if (event.type !== 'StateExited') return [];
    service.count = numberAt(event.output, 'remembered', 'current', 'desiredCount') ?? service.count;
    service.running = numberAt(event.output, 'counts', 'running') ?? service.running;
    switch (event.state) {
      case WINDOW.serviceCannotBeStopped:
        service.state = 'refused';
        return [line('failure', `${service.name} cannot be stopped: ${textAt(event.output, 'reason')}`)];
      case WINDOW.useEarlierState:
        return [line('step', `${service.name} is to start as an earlier deploy remembered it`)];
      case WINDOW.serviceStopped:
        service.state = 'stopped';
        return [
          line(
            'done',
            `${service.name} stopped after ${humanDuration(now - service.since)}${ofCount(service)}`,
          ),
        ];
      case WINDOW.serviceNotStopped:
        service.state = 'not-stopped';
        return [line('failure', `${service.name} did not stop in time${stillRunning(service)}`)];
      default:
        return [];
    }
  }

  /** An event of start-services inside its Map "Start Services". What was not remembered is not told of. */
  applyStart(event: EngineEvent): ProgressLine[] {
    const now = Date.parse(event.at);
    const service = this.#of(event, event.state === START_SERVICES.nothingSaved ? 'running' : 'stopped');
    if (service === undefined) return [];
    if (event.type === 'StateEntered' && STARTS.includes(event.state ?? '')) {
      service.state = 'starting';
      service.since = now;
      return [line('step', `${service.name} starts${ofCount(service)}`)];
    }
    if (event.type !== 'StateExited') return [];
    service.count = numberAt(event.output, 'memory', 'value', 'current', 'desiredCount') ?? service.count;
    service.running = numberAt(event.output, 'counts', 'running') ?? service.running;
    switch (event.state) {
      case START_SERVICES.steady:
        return [this.#steady(service, now)];
      case START_SERVICES.notSteady:
        service.state = 'not-steady';
        return [line('failure', `${service.name} did not become steady in time${ofRunning(service)}`)];
      case START_SERVICES.nothingSaved:
        service.state = 'running';
        return [];
      case START_SERVICES.deployStillRunning:
        service.state = 'left-to-its-deploy';
        return [line('step', `${service.name} is left to the deploy that stopped it, which still runs`)];
      default:
        return [];
    }
  }

  #steady(service: ServiceProgress, now: number): ProgressLine {
    // A rule or a mapping that was disabled before the deploy has nothing to be started.
    if (service.state !== 'starting') {
      service.state = 'steady';
      return line('done', `${service.name} stays as it was before`);
    }
    service.state = 'steady';
    const at = service.count === null ? '' : ` at ${counted(service.count, 'task')}`;
    return line('done', `${service.name} is steady${at} after ${humanDuration(now - service.since)}`);
  }

  #of(event: EngineEvent, state: ServiceProgress['state']): ServiceProgress | undefined {
    const name = textAt(event.input, 'service', 'name');
    if (name === '') return undefined;
    const known = this.#services.get(name);
    if (known !== undefined) return known;
    const service = { name, state, count: null, running: null, since: Date.parse(event.at) };
    this.#services.set(name, service);
    return service;
  }
}

function ofCount({ count }: ServiceProgress): string {
  return count === null ? '' : ` (${counted(count, 'task')})`;
}

function stillRunning({ running }: ServiceProgress): string {
  return running === null ? '' : `: ${counted(running, 'task')} still run`;
}

function ofRunning({ count, running }: ServiceProgress): string {
  return count === null ? '' : `: ${running ?? 0} of ${counted(count, 'task')} run`;
}
