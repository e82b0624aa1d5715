/** An iteration of a Map state or a branch of a Parallel state. */
export interface Iteration {
  readonly state: string;
  readonly index: number;
}

type StateEvent =
  | `State${'Entered' | 'Exited' | 'Failed' | 'Retried' | 'Caught'}`
  | `${'MapIteration' | 'ParallelBranch'}${'Started' | 'Succeeded' | 'Failed' | 'Aborted'}`;

type ExecutionEvent = `Execution${'Started' | 'Succeeded' | 'Failed' | 'Aborted' | 'TimedOut'}`;

/** Something that happened in an execution. Nested executions have events of their own. */
export interface EngineEvent {
  readonly type: StateEvent | ExecutionEvent;
  /** Name of the state machine. */
  readonly machine: string;
  /** Name of the execution. */
  readonly execution: string;
  /** ARN of the execution that started this one. Null: no execution did. */
  readonly parent: string | null;
  /** Null for the events of an execution. */
  readonly state: string | null;
  /** Task, Map, Wait, ... */
  readonly stateType: string | null;
  /** The Map iterations and Parallel branches around the state, outermost first. */
  readonly within: readonly Iteration[];
  readonly input?: unknown;
  readonly output?: unknown;
  readonly error?: string;
  readonly cause?: string;
  /** StateRetried: the number of the retry that begins, from 1. */
  readonly attempt?: number;
  /** ISO 8601. */
  readonly at: string;
}
