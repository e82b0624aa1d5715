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
    | 'not-started'
    | 'deploy-running';
  /** The task count to restore. Null: not known, or the service has no tasks. */
  count: number | null;
  running: number | null;
  /** When stopping or starting began, in milliseconds since 1970. */
  since: number;
}

/** The services of a run, in the order of their first event. */
export class Services {
  readonly #services = new Map<string, ServiceProgress>();

  get all(): readonly ServiceProgress[] {
    return [...this.#services.values()];
  }

  /** Finds a service, or adds it in a state. */
  ensure(name: string, state: ServiceProgress['state'], now: number): ServiceProgress {
    const known = this.#services.get(name);
    if (known !== undefined) return known;
    const service = { name, state, count: null, running: null, since: now };
    this.#services.set(name, service);
    return service;
  }
}
