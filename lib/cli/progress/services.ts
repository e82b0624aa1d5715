import type { EngineEvent } from '../../local/engine/events.ts';
import { counted, line, type ProgressLine } from './line.ts';
import { numberAt, textAt } from './payload.ts';
import { humanDuration } from './units.ts';

export interface ServiceProgress {
  readonly name: string;
  state:
    | 'running'
    | 'stopping'
    | 'stopped'
    | 'not-stopped'
    | 'refused'
    | 'starting'
    | 'steady'
    | 'not-steady';
  /** The count that it had before and is to have again. Null: not known. */
  count: number | null;
  running: number | null;
  /** When the present state's work began, in milliseconds since 1970. */
  since: number;
}

/** The states in which each kind of service is told to stop, and to start. */
const STOPS = ['Stop Tasks', 'Disable Rule', 'Disable Mapping'];
const STARTS = ['Start Tasks', 'Enable Rule', 'Enable Mapping'];

/** What becomes of the services, from the events of the Map that stops them and the Map that starts them. */
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
      case 'Service Stopped':
        service.state = 'stopped';
        return [
          line(
            'done',
            `${service.name} stopped after ${humanDuration(now - service.since)}${ofCount(service)}`,
          ),
        ];
      case 'Service Not Stopped':
        service.state = 'not-stopped';
        return [line('failure', `${service.name} did not stop in time: ${stillRunning(service)}`)];
      case 'Service Refused':
        service.state = 'refused';
        return [line('failure', `${service.name} cannot be stopped: ${textAt(event.output, 'reason')}`)];
      default:
        return [];
    }
  }

  /** An event of start-services inside its Map "Start Services". */
  applyStart(event: EngineEvent): ProgressLine[] {
    const now = Date.parse(event.at);
    const service = this.#of(event, 'stopped');
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
      case 'Note Steady':
        service.state = 'steady';
        return [
          line(
            'done',
            `${service.name} is ${service.count === null ? 'on' : `steady at ${counted(service.count, 'task')}`} after ${humanDuration(now - service.since)}`,
          ),
        ];
      case 'Note Not Steady':
        service.state = 'not-steady';
        return [
          line(
            'failure',
            `${service.name} did not become steady in time${service.count === null ? '' : `: ${service.running ?? 0} of ${counted(service.count, 'task')} run`}`,
          ),
        ];
      case 'Nothing Remembered':
        // It was not stopped: nothing to tell of.
        service.state = 'running';
        return [];
      default:
        return [];
    }
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

function ofCount(service: ServiceProgress): string {
  return service.count === null ? '' : ` (${counted(service.count, 'task')})`;
}

function stillRunning(service: ServiceProgress): string {
  return service.running === null ? 'tasks still run' : `${counted(service.running, 'task')} still run`;
}
