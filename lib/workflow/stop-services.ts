import { Choice, Condition, JsonPath, Map as MapState, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { NULL } from './null.ts';
import {
  describeService,
  getRemembered,
  PARAMETER_EXISTS,
  putRemembered,
  setDesiredCount,
  suspendScaling,
} from './service-calls.ts';
import { looksWithin, type ServiceTargets } from './service-target.ts';
import { waitForCounts } from './wait-for-counts.ts';

export interface StopServicesProps {
  services: ServiceTargets;
  stopMinutes: number;
}

/**
 * Stops all services at once, each in this order: remember its count durably, suspend its scaling, desired count 0, wait
 * until no task runs. Reads `$.services` and `$.deploy`; leaves a StoppedService for each in `$.stopped`.
 */
export function stopServices(scope: Construct, props: StopServicesProps): MapState {
  const { services } = props;
  const stopped = outcome(scope, 'Service Stopped', 'stopped');
  const late = outcome(scope, 'Service Not Stopped', 'not-stopped');
  const missing = new Pass(scope, 'Service Not Found', {
    parameters: { 'name.$': '$.service.name', outcome: 'not-found', stoppedAt: NULL },
  });

  const describe = describeService(scope, 'Describe Service', services);
  const note = new Pass(scope, 'Note Count', {
    parameters: {
      'desiredCount.$': '$.described.services[0].DesiredCount',
      'stoppedAt.$': '$$.State.EnteredTime',
      'deploy.$': '$.deploy',
    },
    resultPath: '$.remembered',
  });
  const remember = putRemembered(scope, 'Remember Count', services);
  const recall = getRemembered(scope, 'Recall Remembered Count', services);
  const keep = new Pass(scope, 'Keep Remembered Count', {
    inputPath: '$.memory.value',
    resultPath: '$.remembered',
  });
  const suspend = suspendScaling(scope, 'Suspend Scaling', services, true);
  const toZero = setDesiredCount(scope, 'Stop Tasks', services, 0);
  const waiting = waitForCounts(scope, {
    services,
    goal: 'Stopped',
    reached: Condition.and(
      Condition.numberEquals('$.counts.running', 0),
      Condition.numberEquals('$.counts.pending', 0),
    ),
    looks: looksWithin(props.stopMinutes, services.pollSeconds),
    onReached: stopped,
    onLate: late,
  });

  const scaled = new Choice(scope, 'Has Scaling?')
    .when(Condition.booleanEquals('$.service.scaling', true), suspend)
    .otherwise(toZero);
  describe.next(
    new Choice(scope, 'Service Found?')
      .when(Condition.isPresent('$.described.services[0]'), note)
      .otherwise(missing),
  );
  note.next(remember).next(scaled);
  // An earlier run died before it could start the service again: its count is the true one, not today's 0.
  remember.addCatch(recall, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
  recall.next(keep).next(scaled);
  suspend.next(toZero);
  toZero.next(waiting);

  const map = new MapState(scope, 'Stop Services', {
    comment: 'All at once, so that the window is as long as the slowest and no longer',
    itemsPath: '$.services',
    itemSelector: { 'deploy.$': '$.deploy', 'service.$': '$$.Map.Item.Value' },
    resultPath: '$.stopped',
  });
  map.itemProcessor(describe);
  return map;
}

function outcome(scope: Construct, id: string, result: string): Pass {
  return new Pass(scope, id, {
    parameters: { 'name.$': '$.service.name', outcome: result, 'stoppedAt.$': '$.remembered.stoppedAt' },
  });
}
