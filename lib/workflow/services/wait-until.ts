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
import type { WaitNames } from '../state-names.ts';

export interface WaitUntilProps {
  names: WaitNames;
  /** Asks AWS. */
  look: TaskStateBase;
  /** Reads what `look` left. */
  reached: Condition;
  /** Looks until the deadline. */
  looks: number;
  pollSeconds: number;
  onReached: IChainable;
  onLate: IChainable;
}

/** Looks until something is as wanted or the deadline has passed. @returns the first state */
export function waitUntil(scope: Construct, props: WaitUntilProps): Pass {
  const { names, look } = props;
  const begin = new Pass(scope, names.begin, { parameters: { count: 0 }, resultPath: '$.looks' });
  const count = new Pass(scope, names.count, {
    parameters: { count: JsonPath.mathAdd(JsonPath.numberAt('$.looks.count'), 1) },
    resultPath: '$.looks',
  });
  const wait = new Wait(scope, names.wait, {
    time: WaitTime.duration(Duration.seconds(props.pollSeconds)),
  });
  begin.next(look);
  look.next(
    new Choice(scope, names.reached)
      .when(props.reached, props.onReached)
      .when(Condition.numberGreaterThanEquals('$.looks.count', props.looks), props.onLate)
      .otherwise(wait),
  );
  wait.next(count).next(look);
  return begin;
}
