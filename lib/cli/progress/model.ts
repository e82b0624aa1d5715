import type { PreflightResult } from '../../../lambdas/shared/payloads.ts';
import type { CompiledRegistry } from '../../../lambdas/shared/registry.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import type { BuildRow } from '../../local/watch-builds.ts';
import type { MachineNames } from '../../config/machine-names.ts';
import { applyBuildMachine } from './build-events.ts';
import { applyBuildRows } from './build-rows.ts';
import { BuildsProgress } from './builds.ts';
import { applyDeploy } from './deploy-events.ts';
import { line, type ProgressLine } from './line.ts';
import { errorOf } from './payload.ts';
import { PHASES, type PhaseKey, Phases } from './phases.ts';
import { ServicesProgress } from './services.ts';
import { applyWindow } from './window-events.ts';

export type { ProgressLine } from './line.ts';

/** Errors by which the definitions ask whether something is remembered: no trouble. */
const ANSWERS = ['Ssm.ParameterAlreadyExistsException', 'Ssm.ParameterNotFoundException'];

const OUTCOMES = {
  ExecutionSucceeded: 'succeeded',
  ExecutionFailed: 'failed',
  ExecutionAborted: 'aborted',
  ExecutionTimedOut: 'timed out',
} as const;
type Ending = keyof typeof OUTCOMES;

/** What a run of the workflow has come to, put together from the events of its machines. */
export class RunProgress {
  /** Name of the outermost execution. Empty: nothing has begun. */
  name = '';
  /** Milliseconds since 1970. */
  startedAt: number | null = null;
  endedAt: number | null = null;
  /** How the outermost execution ended. Null: it has not. */
  outcome: (typeof OUTCOMES)[Ending] | null = null;
  /** What the preflight decided. Null: it has not. */
  decision: PreflightResult['decision'] | null = null;
  readonly phases = new Phases();
  readonly services = new ServicesProgress();
  /** The builds of the phases `build` and `online`. */
  readonly builds: Readonly<Record<'build' | 'online', BuildsProgress>> = {
    build: new BuildsProgress(),
    online: new BuildsProgress(),
  };
  readonly migrations: { applied: readonly string[]; failure: string | null } = {
    applied: [],
    failure: null,
  };
  readonly registry: CompiledRegistry;

  readonly #machines: MachineNames;

  constructor(machines: MachineNames, registry: CompiledRegistry) {
    this.#machines = machines;
    this.registry = registry;
  }

  /** The phase whose builds run or ran last. */
  get buildPhase(): 'build' | 'online' {
    return this.phases.find('online')?.startedAt == null ? 'build' : 'online';
  }

  /** Takes an event in. @returns what people are to be told of it; most events say nothing. */
  apply(event: EngineEvent): ProgressLine[] {
    if (event.state === null) return this.#execution(event);
    switch (event.machine) {
      case this.#machines.deploy:
        return [...applyDeploy(this, event), ...trouble(event)];
      case this.#machines.maintenanceWindow:
        return event.within.length > 0
          ? [...this.services.applyStop(event), ...trouble(event)]
          : [...applyWindow(this, event), ...trouble(event)];
      case this.#machines.buildIndexes:
        return event.within.length > 1
          ? applyBuildMachine(this, event)
          : [...applyBuildMachine(this, event), ...trouble(event)];
      case this.#machines.startServices:
        return event.within.length > 0 ? this.#started(event) : [];
      default:
        return [];
    }
  }

  /**
   * Takes in how far the running builds are.
   * @param now milliseconds since 1970 @default the present
   * @returns a line now and then for a build that takes long.
   */
  updateBuilds(rows: readonly BuildRow[], now = Date.now()): ProgressLine[] {
    return applyBuildRows(rows, this.builds[this.buildPhase], now);
  }

  enter(key: PhaseKey, event: EngineEvent): ProgressLine[] {
    return this.phases.enter(key, Date.parse(event.at)) ? [line('heading', PHASES[key])] : [];
  }

  end(key: PhaseKey, event: EngineEvent, state: 'done' | 'failed' = 'done', result?: string): void {
    this.phases.end(key, Date.parse(event.at), state, result);
  }

  #started(event: EngineEvent): ProgressLine[] {
    const lines = [...this.services.applyStart(event), ...trouble(event)];
    return lines.length === 0 ? [] : [...this.enter('start', event), ...lines];
  }

  #execution(event: EngineEvent): ProgressLine[] {
    if (event.parent !== null) return [];
    const now = Date.parse(event.at);
    if (event.type === 'ExecutionStarted') {
      this.name ||= event.execution;
      this.startedAt ??= now;
      // The services that an aborted deploy left stopped are started by an execution of their own.
      this.endedAt = null;
      if (event.machine === this.#machines.startServices) return this.enter('start', event);
      if (event.machine === this.#machines.buildIndexes) return this.enter('online', event);
      return [];
    }
    const outcome = OUTCOMES[event.type as Ending];
    if (this.outcome === null || outcome !== 'succeeded') this.outcome = outcome;
    this.endedAt = now;
    this.phases.endAll(now, outcome === 'succeeded' ? 'done' : 'failed');
    if (outcome === 'aborted') return [line('warning', `Execution ${event.execution} was stopped`)];
    if (outcome === 'timed out') return [line('failure', `Execution ${event.execution} ran out of time`)];
    return [];
  }
}

/** Attempts of states that failed or begin again, beside those of the index builds. */
function trouble(event: EngineEvent): ProgressLine[] {
  if (event.stateType !== 'Task') return [];
  if (event.type === 'StateRetried') {
    return [line('step', `${event.state}: attempt ${(event.attempt ?? 0) + 1} begins`)];
  }
  if (event.type !== 'StateFailed' || ANSWERS.includes(event.error ?? '')) return [];
  const { name, message } = errorOf(event);
  return [line('warning', `${event.state}: ${name}: ${message}`)];
}
