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

export interface WaitUntilProps {
  /** What the states are called after, such as "Tasks Stopped". */
  goal: string;
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
  const { goal, look } = props;
  const begin = new Pass(scope, `Wait Until ${goal}`, { parameters: { count: 0 }, resultPath: '$.looks' });
  const count = new Pass(scope, `Count Look: ${goal}`, {
    parameters: { count: JsonPath.mathAdd(JsonPath.numberAt('$.looks.count'), 1) },
    resultPath: '$.looks',
  });
  const wait = new Wait(scope, `Pause: ${goal}`, {
    time: WaitTime.duration(Duration.seconds(props.pollSeconds)),
  });
  begin.next(look);
  look.next(
    new Choice(scope, `${goal}?`)
      .when(props.reached, props.onReached)
      .when(Condition.numberGreaterThanEquals('$.looks.count', props.looks), props.onLate)
      .otherwise(wait),
  );
  wait.next(count).next(look);
  return begin;
}
