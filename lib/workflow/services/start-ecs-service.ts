import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
  type State,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from '../aws-call.ts';
import { catchAll } from '../retry-and-catch.ts';
import { ECS } from '../state-names.ts';
import { isHoldMarker } from './saved-state.ts';
import type { AfterStart, WaitLimits } from './service-kind.ts';

/** The cause of an error: DescribeServices does not return the service. */
export const SERVICE_GONE =
  "States.Format('the ECS service {} does not exist in the cluster {}, or was deleted', $.service.service, $.service.cluster)";

const SAVED_COUNT = '$.savedState.value.current.desiredCount';

/**
 * Sets the saved desired count and waits until the service is steady: in several checks in a row,
 * - at least the saved number of tasks runs on the revision of the service (its PRIMARY deployment);
 * - each target group has at least as many healthy targets;
 * - the service has no new event, so no task was replaced in the meantime, as in a crash loop.
 * A change of the desired count starts no ECS deployment, so no circuit breaker of ECS detects tasks that fail.
 * A service that was held may have a count already, from the deployment of the application: it is recorded, and never set to less.
 * @returns the first state
 */
export function startEcsService(scope: Construct, limits: WaitLimits, after: AfterStart): State {
  const begin = waitUntilSteady(scope, limits, after);
  const setCount = awsCall(scope, ECS.start, {
    api: 'ecs',
    action: 'updateService',
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      Service: JsonPath.stringAt('$.service.service'),
      DesiredCount: JsonPath.numberAt(SAVED_COUNT),
    },
    result: { path: '$.counted', selector: { set: true } },
  });
  catchAll(setCount, after.failed, '$.failure');
  setCount.next(begin);
  return new Choice(scope, ECS.isCountSet)
    .when(Condition.booleanEquals('$.counted.set', true), begin)
    .when(isHoldMarker('$.marker'), unlessRaised(scope, { setCount, begin, failed: after.failed }))
    .otherwise(setCount);
}

/** Sets the count unless someone else has set at least the saved one. Writes their count to `$.raised.count`. */
function unlessRaised(
  scope: Construct,
  next: { setCount: IChainable; begin: IChainable; failed: IChainable },
): State {
  const describe = awsCall(scope, ECS.describeHeld, {
    api: 'ecs',
    action: 'describeServices',
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      Services: JsonPath.array(JsonPath.stringAt('$.service.service')),
    },
    // A list: empty if someone has deleted the service.
    result: { path: '$.found', selector: { 'desired.$': '$.Services[*].DesiredCount' } },
  });
  catchAll(describe, next.failed, '$.failure');
  const found = '$.found.desired[0]';
  const record = new Pass(scope, ECS.recordRaised, {
    parameters: { 'count.$': found },
    resultPath: '$.raised',
  });
  describe.next(
    new Choice(scope, ECS.isRaised)
      .when(Condition.and(Condition.isPresent(found), Condition.numberGreaterThan(found, 0)), record)
      .otherwise(next.setCount),
  );
  record.next(
    new Choice(scope, ECS.isRaisedEnough)
      .when(Condition.numberGreaterThanEqualsJsonPath('$.raised.count', SAVED_COUNT), next.begin)
      .otherwise(next.setCount),
  );
  return describe;
}

/** `$.checks` holds the number of checks, the number of good ones in a row, and the newest event of the service. */
function waitUntilSteady(scope: Construct, limits: WaitLimits, { steady, late, failed }: AfterStart): State {
  const begin = new Pass(scope, ECS.beginStarting, {
    parameters: { count: 0, steady: 0, event: '' },
    resultPath: '$.checks',
  });
  const check = awsCall(scope, ECS.checkStarting, {
    api: 'ecs',
    action: 'describeServices',
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      Services: JsonPath.array(JsonPath.stringAt('$.service.service')),
    },
    result: { path: '$.tasks', selector: OBSERVED },
  });
  catchAll(check, failed, '$.failure');
  const gone = new Pass(scope, ECS.gone, {
    parameters: {
      Error: 'ServiceNotFound',
      'Cause.$': SERVICE_GONE,
    },
    resultPath: '$.failure',
  });
  gone.next(failed);

  const count = (id: string, steadyChecks: unknown) =>
    new Pass(scope, id, {
      parameters: {
        count: JsonPath.mathAdd(JsonPath.numberAt('$.checks.count'), 1),
        steady: steadyChecks,
        event: JsonPath.stringAt('$.tasks.event'),
      },
      resultPath: '$.checks',
    });
  const again = count(ECS.countSteady, JsonPath.mathAdd(JsonPath.numberAt('$.checks.steady'), 1));
  const first = count(ECS.countFirstSteady, 1);
  const notYet = count(ECS.countStarting, 0);
  const wait = new Wait(scope, ECS.waitForTasks, {
    time: WaitTime.duration(Duration.seconds(limits.startPollSeconds)),
  });
  const checksAtLeast = (checks: number) => Condition.numberGreaterThanEquals('$.checks.count', checks);
  const longEnough = new Choice(scope, ECS.isSteadyLongEnough)
    .when(Condition.numberGreaterThanEquals('$.checks.steady', limits.steadyChecks), steady)
    // An earlier recovery has set the count and has waited. The next check by the schedule is soon enough.
    .when(Condition.and(Condition.isPresent('$.counted.known'), checksAtLeast(limits.steadyChecks)), late)
    .when(checksAtLeast(limits.startChecks), late)
    .otherwise(wait);
  for (const pass of [again, first, notYet]) pass.next(longEnough);
  wait.next(check);

  const unchanged = new Choice(scope, ECS.areUnchanged)
    .when(Condition.stringEqualsJsonPath('$.tasks.event', '$.checks.event'), again)
    .otherwise(first);
  begin.next(check);
  check.next(
    new Choice(scope, ECS.areRunning)
      .when(Condition.not(Condition.isPresent('$.tasks.active[0]')), gone)
      .when(
        Condition.and(RUNNING, Condition.isPresent('$.tasks.loadBalancers[0]')),
        checkTargets(scope, { healthy: unchanged, unhealthy: notYet, failed }),
      )
      .when(RUNNING, unchanged)
      .otherwise(notYet),
  );
  return begin;
}

/**
 * What a check reads. Each path gives a list, because a path to a missing field would fail the execution. A filter compares
 * one field, which is all that Step Functions accepts.
 */
const OBSERVED = {
  'active.$': "$.Services[?(@.Status == 'ACTIVE')].ServiceName",
  'running.$': '$.Services[*].RunningCount',
  'onRevision.$': "$.Services[*].Deployments[?(@.Status == 'PRIMARY')].RunningCount",
  // Deployments by CodeDeploy or another controller change the target group without changing the service.
  'loadBalancers.$': '$.Services[?(@.Deployments[0])].LoadBalancers[?(@.TargetGroupArn)]',
  'event.$': 'States.JsonToString($.Services[*].Events[0].Id)',
};

const atLeastSaved = (variable: string) =>
  Condition.and(
    Condition.isPresent(variable),
    Condition.numberGreaterThanEqualsJsonPath(variable, SAVED_COUNT),
  );

/** A service whose deployments another controller makes has no list of deployments. */
const RUNNING = Condition.or(
  atLeastSaved('$.tasks.onRevision[0]'),
  Condition.and(
    Condition.not(Condition.isPresent('$.tasks.onRevision[0]')),
    atLeastSaved('$.tasks.running[0]'),
  ),
);

/** Checks the targets of each load balancer. During a blue/green deployment the tasks can be in the other target group. */
function checkTargets(
  scope: Construct,
  next: { healthy: IChainable; unhealthy: IChainable; failed: IChainable },
): State {
  const describe = (id: string, targetGroup: string) =>
    awsCall(scope, id, {
      api: 'elasticloadbalancingv2',
      action: 'describeTargetHealth',
      parameters: { TargetGroupArn: JsonPath.stringAt(targetGroup) },
      result: {
        path: '$.targets',
        selector: { 'health.$': '$.TargetHealthDescriptions[*].TargetHealth' },
      },
    });
  const countHealthy = (id: string) =>
    new Pass(scope, id, {
      parameters: { 'healthy.$': "States.ArrayLength($.targets.health[?(@.State == 'healthy')])" },
      resultPath: '$.targets',
    });
  const enough = Condition.numberGreaterThanEqualsJsonPath('$.targets.healthy', '$.count');
  const healthy = new Pass(scope, ECS.targetsHealthy, { parameters: { healthy: true } });
  const unhealthy = new Pass(scope, ECS.targetsUnhealthy, { parameters: { healthy: false } });
  const other = '$.loadBalancer.AdvancedConfiguration.AlternateTargetGroupArn';
  const describeOther = describe(ECS.describeOtherTargets, other)
    .next(countHealthy(ECS.countOtherTargets))
    .next(new Choice(scope, ECS.enoughOtherTargets).when(enough, healthy).otherwise(unhealthy));
  const first = describe(ECS.describeTargets, '$.loadBalancer.TargetGroupArn')
    .next(countHealthy(ECS.countTargets))
    .next(
      new Choice(scope, ECS.enoughTargets)
        .when(enough, healthy)
        .when(Condition.isPresent(other), describeOther)
        .otherwise(unhealthy),
    );
  const all = new MapState(scope, ECS.checkTargets, {
    itemsPath: '$.tasks.loadBalancers',
    itemSelector: { 'loadBalancer.$': '$$.Map.Item.Value', 'count.$': SAVED_COUNT },
    resultPath: '$.targets',
  });
  all.itemProcessor(first);
  all.addCatch(next.failed, { errors: ['States.ALL'], resultPath: '$.failure' });
  const summarize = new Pass(scope, ECS.summarizeTargets, {
    parameters: { 'unhealthy.$': 'States.ArrayContains($.targets[*].healthy, false)' },
    resultPath: '$.targets',
  });
  all
    .next(summarize)
    .next(
      new Choice(scope, ECS.areHealthy)
        .when(Condition.booleanEquals('$.targets.unhealthy', true), next.unhealthy)
        .otherwise(next.healthy),
    );
  return all;
}
