import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  type TaskStateBase,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { WaitNames } from './state-names.ts';

export interface WaitUntilProps {
  names: WaitNames;
  /** Reads the current state. */
  check: TaskStateBase;
  /** Condition on the output of `check`. */
  reached: Condition;
  /** Number of checks until the deadline. */
  checks: number;
  /** Pause between two checks. `growing`: 0, 1, 2, 3 … seconds, see `growingChecksWithin`. */
  pollSeconds: number | 'growing';
  onReached: IChainable;
  onLate: IChainable;
}

/**
 * Checks until the condition is true or the deadline has passed, with a pause after each check. Counts in
 * `$.checks.count`.
 * @returns the first state
 */
export function waitUntil(scope: Construct, props: WaitUntilProps): Pass {
  const { names, check } = props;
  const begin = new Pass(scope, names.begin, { parameters: { count: 0 }, resultPath: '$.checks' });
  const count = new Pass(scope, names.count, {
    parameters: { count: JsonPath.mathAdd(JsonPath.numberAt('$.checks.count'), 1) },
    resultPath: '$.checks',
  });
  const wait = new Wait(scope, names.wait, {
    time:
      props.pollSeconds === 'growing'
        ? WaitTime.secondsPath('$.checks.count')
        : WaitTime.duration(Duration.seconds(props.pollSeconds)),
  });
  begin.next(check);
  check.next(
    new Choice(scope, names.reached)
      .when(props.reached, props.onReached)
      .when(Condition.numberGreaterThanEquals('$.checks.count', props.checks), props.onLate)
      .otherwise(wait),
  );
  wait.next(count).next(check);
  return begin;
}

/** @returns how many checks fit into a deadline, at least one */
export function checksWithin(seconds: number, pollSeconds: number): number {
  return Math.max(1, Math.ceil(seconds / pollSeconds));
}

/**
 * With growing pauses a short wait ends soon, and a long one needs few events of the history.
 * @returns how many checks fit into a deadline, if the pause before check n has n seconds
 */
export function growingChecksWithin(seconds: number): number {
  return Math.ceil((Math.sqrt(1 + 8 * seconds) - 1) / 2);
}
