import { FLOW, RESULT, refuseOther, refuseUnknownFields } from './fields.ts';
import { rewritePaths } from './paths.ts';

/** A state machine, or what runs inside a Map or a Parallel state, in Amazon States Language. */
export interface Definition {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
  readonly TimeoutSeconds?: number;
  readonly [field: string]: unknown;
}

export interface State {
  readonly Type: string;
  readonly [field: string]: unknown;
}

/** What a state does that this project runs itself; the library runs the rest. */
export type Step =
  | { readonly kind: 'task'; readonly resource: string; readonly timeoutSeconds: number | undefined }
  | { readonly kind: 'map'; readonly processor: Level; readonly state: State }
  | { readonly kind: 'parallel'; readonly branches: readonly Level[] }
  | { readonly kind: 'fail' }
  | { readonly kind: 'pass'; readonly result?: unknown };

/** Does the state, or one around it, name States.DataLimitExceeded? States.ALL does not cover it. */
export interface NamesDataLimit {
  readonly retry: boolean;
  readonly catch: boolean;
}

export interface PreparedStep {
  readonly step: Step;
  /** Filled in for the step. Undefined: it gets the input as it is. */
  readonly parameters: unknown;
  /** Filled in from the step's result. Undefined: the result as it is. */
  readonly resultSelector: unknown;
  readonly namesDataLimit: NamesDataLimit;
}

/** The states between one StartAt and its end, all of kinds that the library runs as AWS does. */
export interface Level {
  readonly definition: Definition;
  readonly steps: ReadonlyMap<string, PreparedStep>;
  /** The types that were written, for events. */
  readonly types: ReadonlyMap<string, string>;
}

/** Longest time that a timer can hold (2^31 ms): "no limit", in seconds. The library's own default is one minute. */
const NO_LIMIT_SECONDS = 2_147_483;

const NO_NAMES: NamesDataLimit = { retry: false, catch: false };

/**
 * Prepares a definition for the library: what it does not know is refused, what it does otherwise than AWS becomes a
 * step of ours. Templates are ours, see intrinsics.ts and template.ts. Map and Parallel are steps, because the library goes on starting the items of a Map that has failed,
 * shows the item where the execution's input was asked for, and loses the last events of an iteration.
 * @throws Error naming the state and the field
 */
export function prepare(definition: Definition, around: NamesDataLimit = NO_NAMES): Level {
  refuseOther(definition.QueryLanguage, 'JSONPath', 'The definition', 'QueryLanguage');
  const steps = new Map<string, PreparedStep>();
  const types = new Map<string, string>();
  const states: Record<string, State> = {};
  for (const [name, written] of Object.entries(definition.States)) {
    refuseUnknownFields(name, written);
    types.set(name, written.Type);
    const state = rewritePaths(written, name) as State;
    const namesDataLimit = {
      retry: around.retry || namesIt(state.Retry),
      catch: around.catch || namesIt(state.Catch),
    };
    const step = stepOf(name, state, namesDataLimit);
    if (step !== undefined) {
      const parameters = parametersOf(step, state);
      steps.set(name, { step, parameters, resultSelector: state.ResultSelector, namesDataLimit });
    }
    states[name] = step === undefined ? state : asTask(state, step);
  }
  const { TimeoutSeconds: timeout, ...rest } = definition;
  const limit = timeout === undefined || timeout > NO_LIMIT_SECONDS ? {} : { TimeoutSeconds: timeout };
  return { definition: { ...rest, States: states, ...limit }, steps, types };
}

function stepOf(name: string, state: State, names: NamesDataLimit): Step | undefined {
  switch (state.Type) {
    case 'Task':
      return {
        kind: 'task',
        resource: String(state.Resource),
        timeoutSeconds: typeof state.TimeoutSeconds === 'number' ? state.TimeoutSeconds : undefined,
      };
    case 'Map': {
      const processor = (state.ItemProcessor ?? state.Iterator) as Definition & {
        ProcessorConfig?: { Mode?: string };
      };
      refuseOther(processor.ProcessorConfig?.Mode, 'INLINE', `The state "${name}"`, 'ProcessorConfig.Mode');
      return { kind: 'map', processor: prepare(processor, names), state };
    }
    case 'Parallel':
      return {
        kind: 'parallel',
        branches: (state.Branches as Definition[]).map((branch) => prepare(branch, names)),
      };
    case 'Fail':
      // The library takes paths there, but no intrinsic functions.
      return 'ErrorPath' in state || 'CausePath' in state ? { kind: 'fail' } : undefined;
    case 'Pass':
      // The library overlooks a Result that counts as false.
      if ('Result' in state) return { kind: 'pass', result: state.Result };
      return 'Parameters' in state ? { kind: 'pass' } : undefined;
    default:
      return undefined;
  }
}

function parametersOf(step: Step, state: State): unknown {
  switch (step.kind) {
    case 'fail':
      return {
        ...('ErrorPath' in state ? { 'Error.$': state.ErrorPath } : { Error: state.Error ?? null }),
        ...('CausePath' in state ? { 'Cause.$': state.CausePath } : { Cause: state.Cause ?? null }),
      };
    case 'map':
      // There it is the older name of ItemSelector.
      return undefined;
    default:
      return state.Parameters;
  }
}

/** The state as a Task, so that the library asks our handler for the result and does everything around it. */
function asTask(state: State, step: Step): State {
  const picked = Object.fromEntries(
    [...FLOW, ...RESULT].filter((field) => field in state).map((field) => [field, state[field]]),
  );
  const own: Record<string, unknown> = { TimeoutSeconds: NO_LIMIT_SECONDS };
  if (step.kind === 'task') {
    if (typeof state.TimeoutSeconds === 'number') {
      own.TimeoutSeconds = Math.min(state.TimeoutSeconds, NO_LIMIT_SECONDS);
    } else if (state.TimeoutSecondsPath !== undefined) {
      delete own.TimeoutSeconds;
      own.TimeoutSecondsPath = state.TimeoutSecondsPath;
    }
  }
  if (step.kind === 'fail') own.End = true;
  // The library takes "$", the default, for the name of a field.
  if (picked.ResultPath === '$') delete picked.ResultPath;
  if (Array.isArray(picked.Catch)) {
    picked.Catch = picked.Catch.map(({ ResultPath, ...rest }) =>
      ResultPath === undefined || ResultPath === '$' ? rest : { ...rest, ResultPath },
    );
  }
  return { ...picked, ...own, Type: 'Task', Resource: 'local' };
}

function namesIt(handlers: unknown): boolean {
  return (
    Array.isArray(handlers) &&
    handlers.some((handler: { ErrorEquals: string[] }) =>
      handler.ErrorEquals.includes('States.DataLimitExceeded'),
    )
  );
}
