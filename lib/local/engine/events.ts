/** An iteration of a Map state or a branch of a Parallel state. */
export interface Place {
  readonly state: string;
  readonly index: number;
}

/** An event of the states of one execution, before it is known whose. */
export interface StateEvent {
  readonly type: string;
  readonly timestamp: number;
  readonly state: { readonly name: string; readonly input?: unknown; readonly output?: unknown };
  readonly stateType: string;
  readonly within?: readonly Place[];
  readonly Error?: string;
  readonly Cause?: unknown;
  readonly retry?: { readonly attempt: number };
}

export const STATE_EVENTS = [
  'StateEntered',
  'StateExited',
  'StateFailed',
  'StateRetried',
  'StateCaught',
  'MapIterationStarted',
  'MapIterationSucceeded',
  'MapIterationFailed',
  'MapIterationAborted',
  'ParallelBranchStarted',
  'ParallelBranchSucceeded',
  'ParallelBranchFailed',
  'ParallelBranchAborted',
] as const;

export const EXECUTION_EVENTS = [
  'ExecutionStarted',
  'ExecutionSucceeded',
  'ExecutionFailed',
  'ExecutionAborted',
  'ExecutionTimedOut',
] as const;

/** What happens in the engine, of every machine, nested ones included, in order. */
export interface EngineEvent {
  readonly type: (typeof STATE_EVENTS)[number] | (typeof EXECUTION_EVENTS)[number];
  /** Name of the state machine. */
  readonly machine: string;
  /** Name of the execution. */
  readonly execution: string;
  /** ARN of the execution that started this one. Null: nobody's child. */
  readonly parent: string | null;
  /** Null for the events of an execution. */
  readonly state: string | null;
  /** Task, Map, Wait, ... */
  readonly stateType: string | null;
  /** The Map iterations and Parallel branches around the state, outermost first. */
  readonly within: readonly Place[];
  readonly input?: unknown;
  readonly output?: unknown;
  readonly error?: string;
  readonly cause?: string;
  /** StateRetried: the number of the attempt that begins, 1 for the first retry. */
  readonly attempt?: number;
  /** ISO 8601. */
  readonly at: string;
}

/** An event of a state as it is told to the outside, but for whose it is. */
export function toEngineEvent(event: StateEvent): Omit<EngineEvent, 'machine' | 'execution' | 'parent'> {
  const { state, Error: error, Cause: cause, retry } = event;
  return {
    type: event.type as EngineEvent['type'],
    state: state.name,
    stateType: event.stateType,
    within: event.within ?? [],
    ...(state.input === undefined ? {} : { input: state.input }),
    ...(state.output === undefined ? {} : { output: state.output }),
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause: cause instanceof Error ? cause.message : String(cause) }),
    ...(retry === undefined ? {} : { attempt: retry.attempt }),
    at: new Date(event.timestamp).toISOString(),
  };
}
