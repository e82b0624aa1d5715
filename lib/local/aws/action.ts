import { z } from 'zod';
import { StatesRuntime, TaskError } from '../engine/errors.ts';

/** One API action of an AWS service. */
export interface Action {
  /** @param signal aborted when the caller no longer waits for the result */
  run(parameters: unknown, signal: AbortSignal): unknown;
}

/** The actions by the Resource of a Task state. */
export type Actions = Readonly<Record<string, Action>>;

/**
 * An action that accepts exactly these parameters.
 * @throws StatesRuntime from `run` when a parameter is missing, unknown or wrong. As in Step Functions, a state machine
 * cannot catch this error
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

/** A service's error with the name that Step Functions gives it, such as Ssm.ParameterNotFoundException. */
export function serviceError(name: string, message: string): TaskError {
  return new TaskError(name, message);
}
