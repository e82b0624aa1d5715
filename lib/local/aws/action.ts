import { z } from 'zod';
import { StatesRuntime, TaskError } from '../engine/errors.ts';

/** One call of a service, as a Task's Resource names it. */
export interface Action {
  /** @param signal aborted when the answer is no longer waited for */
  run(parameters: unknown, signal: AbortSignal): unknown;
}

/** By the Resource of a Task state. */
export type Actions = Readonly<Record<string, Action>>;

/**
 * Makes an action that takes exactly these parameters.
 * @throws StatesRuntime, when it is run, for a parameter that is missing, unknown or wrong: Step Functions does not
 * let a state machine catch that either
 */
export function action<S extends z.ZodType>(
  resource: string,
  schema: S,
  run: (parameters: z.output<S>, signal: AbortSignal) => unknown,
): [string, Action] {
  return [
    resource,
    {
      run(parameters, signal) {
        const parsed = schema.safeParse(parameters);
        if (parsed.success) return run(parsed.data, signal);
        throw new StatesRuntime(`The Parameters of ${resource} are wrong: ${z.prettifyError(parsed.error)}`);
      },
    },
  ];
}

/** An error of a service under the name that Step Functions gives it, such as Ssm.ParameterNotFoundException. */
export function serviceError(name: string, message: string): TaskError {
  return new TaskError(name, message);
}
