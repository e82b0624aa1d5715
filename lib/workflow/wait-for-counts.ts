import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { describeCounts } from './service-calls.ts';
import type { ServiceTargets } from './service-target.ts';

export interface WaitForCountsProps {
  services: ServiceTargets;
  /** What the states are called after: "Stopped", "Steady". */
  goal: string;
  /** Reads `$.counts`. */
  reached: Condition;
  /** Looks until the deadline. */
  looks: number;
  onReached: IChainable;
  onLate: IChainable;
}

/** Looks at a service's counts until they are as wanted or the deadline has passed. @returns the first state. */
export function waitForCounts(scope: Construct, props: WaitForCountsProps): Pass {
  const begin = new Pass(scope, `Begin Waiting Until ${props.goal}`, {
    parameters: { count: 0 },
    resultPath: '$.looks',
  });
  const look = describeCounts(scope, `Look Whether ${props.goal}`, props.services);
  const count = new Pass(scope, `Count Look Whether ${props.goal}`, {
    parameters: { count: JsonPath.mathAdd(JsonPath.numberAt('$.looks.count'), 1) },
    resultPath: '$.looks',
  });
  const wait = new Wait(scope, `Wait Until ${props.goal}`, {
    time: WaitTime.duration(Duration.seconds(props.services.pollSeconds)),
  });
  begin.next(look);
  look.next(
    new Choice(scope, `${props.goal}?`)
      .when(props.reached, props.onReached)
      .when(Condition.numberGreaterThanEquals('$.looks.count', props.looks), props.onLate)
      .otherwise(wait),
  );
  wait.next(count).next(look);
  return begin;
}
