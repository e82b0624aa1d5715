import type { PreflightResult } from '../../../lambdas/shared/preflight-result.ts';
import type { CompiledRegistry } from '../../../lambdas/shared/registry.ts';
import type { MachineNames } from '../../config/resource-names.ts';
import type { EngineEvent } from '../../local/engine/events.ts';
import { Builds } from './build-progress.ts';
import { PHASES, type PhaseKey, Phases } from './phases.ts';
import { line, type ProgressLine } from './progress-line.ts';
import { Services } from './service-progress.ts';
import { ShownCauses } from './shown-causes.ts';

/** The progress of a run. See `applyEvent`, which updates it. */
export class RunProgress {
  /** Name of the outermost execution. Empty: none has started. */
  name = '';
  /** Milliseconds since 1970. */
  startedAt: number | null = null;
  endedAt: number | null = null;
  /** How the outermost execution ended. Null: it is running. */
  outcome: 'succeeded' | 'failed' | 'aborted' | 'timed out' | null = null;
  /** The decision of the preflight. Null: none yet. */
  decision: PreflightResult['decision'] | null = null;
  readonly phases = new Phases();
  readonly services = new Services();
  /** The builds of the phases `build` and `online`. */
  readonly builds: Readonly<Record<'build' | 'online', Builds>> = {
    build: new Builds(),
    online: new Builds(),
  };
  readonly shownCauses = new ShownCauses();
  readonly migrations: { applied: readonly string[]; failure: string | null } = {
    applied: [],
    failure: null,
  };
  readonly machines: MachineNames;
  readonly registry: CompiledRegistry;

  constructor(machines: MachineNames, registry: CompiledRegistry) {
    this.machines = machines;
    this.registry = registry;
  }

  /** The phase whose builds are running or ran last. */
  get buildPhase(): 'build' | 'online' {
    return this.phases.find('online')?.startedAt == null ? 'build' : 'online';
  }

  /** Enters a phase. @returns its heading, unless the phase was already running */
  enter(key: PhaseKey, event: EngineEvent): ProgressLine[] {
    return this.phases.enter(key, Date.parse(event.at)) ? [line('heading', PHASES[key])] : [];
  }

  end(key: PhaseKey, event: EngineEvent, state: 'done' | 'failed' = 'done', result?: string): void {
    this.phases.end(key, Date.parse(event.at), state, result);
  }
}
