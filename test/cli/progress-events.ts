import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { ProgressLine } from '../../lib/cli/progress/model.ts';
import { RunProgress } from '../../lib/cli/progress/model.ts';
import type { EngineEvent } from '../../lib/local/engine/events.ts';
import { machineNamesOf } from '../../lib/config/machine-names.ts';

/*
 * Event sequences in the shape in which the local engine tells them, and a run that they are fed to.
 */

export const machines = machineNamesOf('test');

/** Seconds since the run's start as milliseconds since 1970. */
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
    this.#onEvent = onEvent ?? ((event) => this.lines.push(...this.run.apply(event)));
  }

  get texts(): string[] {
    return this.lines.map(({ text }) => text);
  }

  tell(machine: keyof typeof machines, type: EngineEvent['type'], state: string | null, fields: Fields = {}) {
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
    this.tell('deploy', 'ExecutionStarted', null, { input: {} });
    this.tell('deploy', 'StateEntered', 'Preflight');
  }

  decide(decision: string, refusal: string | null = null): void {
    this.tell('deploy', 'StateExited', 'Preflight', { output: { decision, refusal, indexes: [] } });
  }

  /** Enters the phase Build Indexes with a plan of lanes. */
  plan(
    lanes: { table: string; indexes: string[] }[],
    fields: { failed?: object; present?: number } = {},
  ): void {
    this.tell('maintenanceWindow', 'StateEntered', 'Build Indexes');
    this.tell('buildIndexes', 'StateEntered', 'Plan', { input: {} });
    const output = {
      decision: lanes.length === 0 ? 'done' : 'build',
      lanes,
      present: fields.present ?? 0,
      failed: { critical: 0, nonCritical: 0, ...fields.failed },
    };
    this.tell('buildIndexes', 'StateExited', 'Plan', { output });
    if (lanes.length > 0) {
      this.tell('buildIndexes', 'StateEntered', 'Build Lanes', { input: output, stateType: 'Map' });
    }
  }

  /** An event of a state that works on one index. */
  index(type: EngineEvent['type'], index: string, fields: Fields & { state?: string } = {}): void {
    const { state = 'Build Index', ...more } = fields;
    const within = [
      { state: 'Build Lanes', index: 0 },
      { state: 'Build Lane', index: 0 },
    ];
    this.tell('buildIndexes', type, state, { within, input: { deploy: 'd', index }, ...more });
  }

  begin(index: string): void {
    this.index('StateEntered', index);
  }

  /** Build Index, or another state, answers. */
  answer(index: string, status: string, state = 'Build Index', answer = 'done'): void {
    this.index('StateExited', index, {
      state,
      output: { index, build: { output: { state: answer, status, waitSeconds: 1 } } },
    });
  }

  fail(index: string, error: string, errorMessage: string): void {
    const cause = JSON.stringify({ errorType: error, errorMessage, trace: ['at nowhere'] });
    this.index('StateFailed', index, { error, cause });
  }

  /** The state gave up: its Catch leads to Settle Index. */
  giveUp(index: string): void {
    this.index('StateCaught', index);
    this.index('StateExited', index, { output: { index, error: { Error: 'x' } } });
    this.index('StateEntered', index, { state: 'Settle Index' });
  }

  service(
    machine: 'maintenanceWindow' | 'startServices',
    type: EngineEvent['type'],
    state: string,
    name: string,
    output?: object,
  ) {
    const within = [{ state: machine === 'startServices' ? 'Start Services' : 'Stop Services', index: 0 }];
    this.tell(machine, type, state, { within, input: { service: { name } }, ...(output && { output }) });
  }
}
