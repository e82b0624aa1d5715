import { Choice, Condition, type IChainable, Map as MapState } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { ServiceTargets } from './services/service-targets.ts';
import type { StillStoppedNames } from './state-names.ts';

/** The value of `$.raised` before the first check. */
export const NOTHING_RAISED = { names: [], counts: [] };

export interface StillStoppedProps {
  services: ServiceTargets;
  names: StillStoppedNames;
  next: IChainable;
  /** A desired count is above 0. */
  raised: IChainable;
}

/**
 * Checks that no one has raised the desired count of a stopped service: a deployment of the application, or someone in the
 * console. Reads `$.counted`, the services of the kind that has counts, and writes the names and the desired counts of the services that were raised to `$.raised`.
 * @returns the first state, which is `next` if no service has a count
 */
export function stillStopped(scope: Construct, props: StillStoppedProps): IChainable {
  const { services, names, next, raised } = props;
  const [describe] = services.kinds.flatMap((kind) => kind.checkCount?.(scope, names.describe) ?? []);
  if (describe === undefined) return next;
  const isRaised = '$[?(@.described.desired[0] > 0)]';
  const check = new MapState(scope, names.check, {
    comment: 'Checks that no service was started by someone else',
    itemsPath: '$.counted',
    itemSelector: { 'service.$': '$$.Map.Item.Value' },
    resultSelector: {
      'names.$': `${isRaised}.service.name`,
      'counts.$': `${isRaised}.described.desired[0]`,
    },
    resultPath: '$.raised',
  });
  check.itemProcessor(describe);
  check.next(
    new Choice(scope, names.reached).when(Condition.isPresent('$.raised.names[0]'), raised).otherwise(next),
  );
  return check;
}
