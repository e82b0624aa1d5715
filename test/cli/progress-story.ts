import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { applyEvent } from '../../lib/cli/progress/apply-event.ts';
import type { ProgressLine } from '../../lib/cli/progress/progress-line.ts';
import { RunProgress } from '../../lib/cli/progress/run-progress.ts';
import { machineNamesOf } from '../../lib/config/resource-names.ts';
import type { EngineEvent } from '../../lib/local/engine/events.ts';
import { BUILD_INDEXES, DEPLOY, START_SERVICES, WINDOW } from '../../lib/workflow/state-names.ts';
import { NO_REFERENCES } from '../support/references.ts';

/*
 * Sequences of events in the format of the local engine, applied to a run.
 */

export const machines = machineNamesOf('test');

/** A time in milliseconds since 1970, given in seconds since the start of the run. */
export const second = (seconds: number): number => Date.parse('2026-01-01T00:00:00.000Z') + seconds * 1000;

export function registryOf(...names: string[]): CompiledRegistry {
  return names.map((name) => {
    const [table = '', columns = ''] = name.split('.');
    return {
      ...{ name: `idx_${table}_${columns}`, schema: 'public', table, unique: false, partial: false },
      ...{
        expression: false,
        critical: columns === 'key',
        description: `${table} by ${columns}`,
        serves: [],
        references: NO_REFERENCES,
      },
      ...{ definition: `USING btree (${columns})`, onDrift: 'report' as const },
    };
  });
}

type Fields = Partial<Omit<EngineEvent, 'type' | 'state' | 'at' | 'machine'>>;

export class Story {
  readonly run: RunProgress;
  readonly lines: ProgressLine[] = [];
  readonly #onEvent: (event: EngineEvent) => void;
  now = 0;

  constructor(registry: CompiledRegistry, onEvent?: (event: EngineEvent) => void) {
    this.run = new RunProgress(machines, registry);
    this.#onEvent = onEvent ?? ((event) => this.lines.push(...applyEvent(this.run, event)));
  }

  get texts(): string[] {
    return this.lines.map(({ text }) => text);
  }

  emit(machine: keyof typeof machines, type: EngineEvent['type'], state: string | null, fields: Fields = {}) {
    const parent =
      machine === 'deploy' ? null : `arn:aws:states:eu-west-1:000000000000:execution:${machines.deploy}:d`;
    this.#onEvent({
      ...{
        type,
        state,
        machine: machines[machine],
        execution: machine === 'deploy' ? 'd' : `${machine}-1`,
        parent,
      },
      ...{
        stateType: state === null ? null : 'Task',
        within: [],
        at: new Date(second(this.now)).toISOString(),
      },
      ...fields,
    });
  }

  start(): void {
    this.emit('deploy', 'ExecutionStarted', null, { input: {} });
    this.emit('deploy', 'StateEntered', DEPLOY.preflight);
  }

  decide(decision: string, refusal: string | null = null): void {
    this.emit('deploy', 'StateExited', DEPLOY.preflight, { output: { decision, refusal, indexes: [] } });
  }

  /** Enters the phase Build Indexes with planned lanes. */
  plan(
    lanes: { table: string; indexes: string[] }[],
    fields: { failed?: object; present?: number } = {},
  ): void {
    this.emit('maintenanceWindow', 'StateEntered', WINDOW.buildIndexes);
    this.emit('buildIndexes', 'StateEntered', BUILD_INDEXES.plan, { input: {} });
    const output = {
      decision: lanes.length === 0 ? 'done' : 'build',
      lanes,
      present: fields.present ?? 0,
      failed: { critical: 0, nonCritical: 0, ...fields.failed },
    };
    this.emit('buildIndexes', 'StateExited', BUILD_INDEXES.plan, { output });
    if (lanes.length > 0) {
      this.emit('buildIndexes', 'StateEntered', BUILD_INDEXES.buildLanes, {
        input: output,
        stateType: 'Map',
      });
    }
  }

  /** Emits an event of a state that works on one index. */
  index(type: EngineEvent['type'], index: string, fields: Fields & { state?: string } = {}): void {
    const { state = BUILD_INDEXES.buildIndex, ...more } = fields;
    const within = [
      { state: BUILD_INDEXES.buildLanes, index: 0 },
      { state: BUILD_INDEXES.buildLane, index: 0 },
    ];
    this.emit('buildIndexes', type, state, { within, input: { deploy: 'd', index }, ...more });
  }

  begin(index: string): void {
    this.index('StateEntered', index);
  }

  /** Exits Build Index, or another state, with its result. */
  exit(index: string, status: string, state: string = BUILD_INDEXES.buildIndex, result = 'done'): void {
    this.index('StateExited', index, {
      state,
      output: { index, build: { output: { state: result, status, waitSeconds: 1 } } },
    });
  }

  fail(index: string, error: string, errorMessage: string): void {
    const cause = JSON.stringify({ errorType: error, errorMessage, trace: ['at nowhere'] });
    this.index('StateFailed', index, { error, cause });
  }

  /** The state fails without another retry: its Catch leads to Settle Index. */
  catchError(index: string): void {
    this.index('StateCaught', index);
    this.index('StateExited', index, { output: { index, error: { Error: 'x' } } });
    this.index('StateEntered', index, { state: BUILD_INDEXES.settleIndex });
  }

  /** Emits an event from the Map of `maintenance-window` that stops the services. */
  stopEvent(type: EngineEvent['type'], state: string, name: string, output?: object): void {
    const within = [{ state: WINDOW.stopServices, index: 0 }];
    this.emit('maintenanceWindow', type, state, serviceFields(within, name, output));
  }

  /** Emits an event from the Map of `start-services`. */
  startEvent(type: EngineEvent['type'], state: string, name: string, output?: object): void {
    const within = [{ state: START_SERVICES.startServices, index: 0 }];
    this.emit('startServices', type, state, serviceFields(within, name, output));
  }
}

function serviceFields(within: Fields['within'], name: string, output: object | undefined): Fields {
  return { ...(within && { within }), input: { service: { name } }, ...(output && { output }) };
}
