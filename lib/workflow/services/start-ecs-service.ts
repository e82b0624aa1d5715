import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
  type State,
  type TaskStateBase,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { awsCall } from '../aws-call.ts';
import { catchAll } from '../retry-and-catch.ts';
import { ECS } from '../state-names.ts';
import {
  isCompletedDeploy,
  isHoldMarker,
  PARAMETER_MISSING,
  type ParameterName,
  readText,
} from './saved-state.ts';
import type { AfterStart, WaitLimits } from './service-kind.ts';

/** The cause of an error: DescribeServices does not return the service. */
export const SERVICE_GONE =
  "States.Format('the ECS service {} does not exist in the cluster {}, or was deleted', $.service.service, $.service.cluster)";

const SAVED_COUNT = '$.savedState.value.current.desiredCount';

/** What the start of a service needs. */
interface StartProps {
  limits: WaitLimits;
  /** See `ServiceTargets.completed`. */
  completed: ParameterName;
}

/**
 * Sets the saved desired count, and the revision if the deploy that stopped the service named one and ended its window, and waits
 * until the service is steady: in several checks in a row,
 * - at least the saved number of tasks runs on the revision of the service (its PRIMARY deployment);
 * - each target group has at least as many healthy targets;
 * - the service has no new event, so no task was replaced in the meantime, as in a crash loop.
 * A change of the desired count starts no ECS deployment, so no circuit breaker of ECS detects tasks that fail. That of a revision
 * does, and can roll back: so the report compares the revision that is steady with the requested one.
 * A service that was held may have a count already, from the deployment of the application: it is recorded, and never set to less.
 * @returns the first state
 */
export function startEcsService(
  scope: Construct,
  { limits, completed }: StartProps,
  after: AfterStart,
): State {
  const begin = waitUntilSteady(scope, limits, after);
  const update = (id: string, parameters: Record<string, unknown>): TaskStateBase => {
    const call = awsCall(scope, id, {
      api: 'ecs',
      action: 'updateService',
      parameters: {
        Cluster: JsonPath.stringAt('$.service.cluster'),
        Service: JsonPath.stringAt('$.service.service'),
        ...parameters,
      },
      result: { path: '$.counted', selector: { set: true } },
    });
    call.next(begin);
    return call;
  };
  const count = { DesiredCount: JsonPath.numberAt(SAVED_COUNT) };
  const revision = { TaskDefinition: JsonPath.stringAt('$.revision.arn') };
  const { failed } = after;
  const set = {
    count: update(ECS.start, count),
    both: update(ECS.onRevision.start, { ...count, ...revision }),
    revision: update(ECS.onRevision.set, revision),
  };
  catchAll(set.count, failed, '$.failure');
  // Someone has deregistered the revision meanwhile, or its roles may not be passed. The service starts on the one that it has.
  catchAll(set.both, set.count, '$.revisionFailure');
  catchAll(set.revision, begin, '$.revisionFailure');
  const held = unlessRaised(scope, { set, begin, failed });
  const useDue = new Pass(scope, ECS.onRevision.useDue, {
    parameters: { 'arn.$': DUE },
    resultPath: '$.revision',
  });
  const use = new Pass(scope, ECS.onRevision.use, {
    parameters: { 'arn.$': REQUESTED },
    resultPath: '$.revision',
  });
  const isHeld = new Choice(scope, ECS.onRevision.isHeld)
    .when(isHoldMarker('$.marker'), held)
    .otherwise(set.both);
  use.next(isHeld);
  useDue.next(isHeld);
  const isCompleted = new Choice(scope, ECS.onRevision.isCompleted)
    .when(isCompletedDeploy('$.completed.text', '$.savedState.value.execution'), use)
    .when(Condition.isPresent(DUE), useDue)
    .when(isHoldMarker('$.marker'), held)
    .otherwise(set.count);
  const read = readText(scope, ECS.onRevision.readCompleted, completed, '$.completed');
  read.addCatch(isCompleted, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
  catchAll(read, failed, '$.failure');
  read.next(isCompleted);
  return new Choice(scope, ECS.isCountSet)
    .when(Condition.booleanEquals('$.counted.set', true), begin)
    .when(Condition.isPresent(REQUESTED), read)
    .when(Condition.isPresent(DUE), useDue)
    .when(isHoldMarker('$.marker'), held)
    .otherwise(set.count);
}

/** The revision that the deploy named, as `checkRevision` has found it. */
const REQUESTED = '$.service.revision.to[0]';
/** The revision of an earlier deploy that has ended its window and held the service. */
const DUE = '$.savedState.value.current.due[0]';

interface AfterHold {
  /** Calls of UpdateService. */
  set: { count: IChainable; both: IChainable; revision: IChainable };
  begin: IChainable;
  failed: IChainable;
}

/**
 * Sets the count unless someone else has set at least the saved one. Writes their count to `$.raised.count`. Sets the revision in
 * `$.revision`, if there is one, unless someone else has set another one in the hold: the later decision is theirs.
 */
function unlessRaised(scope: Construct, { set, begin, failed }: AfterHold): State {
  const describe = awsCall(scope, ECS.describeHeld, {
    api: 'ecs',
    action: 'describeServices',
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      Services: JsonPath.array(JsonPath.stringAt('$.service.service')),
    },
    // Lists: empty if someone has deleted the service.
    result: {
      path: '$.found',
      selector: {
        'desired.$': '$.Services[*].DesiredCount',
        'taskDefinition.$': '$.Services[*].TaskDefinition',
      },
    },
  });
  catchAll(describe, failed, '$.failure');
  const found = '$.found.desired[0]';
  const record = new Pass(scope, ECS.recordRaised, {
    parameters: { 'count.$': found },
    resultPath: '$.raised',
  });
  const isStillOld = (before: string) =>
    Condition.and(
      Condition.isPresent(before),
      Condition.stringEqualsJsonPath('$.found.taskDefinition[0]', before),
    );
  const needsRevision = Condition.and(
    Condition.isString('$.revision.arn'),
    Condition.isPresent('$.found.taskDefinition[0]'),
    Condition.or(
      isStillOld('$.service.revision.from[0]'),
      isStillOld('$.savedState.value.current.taskDefinition[0]'),
    ),
  );
  describe.next(
    new Choice(scope, ECS.isRaised)
      .when(Condition.and(Condition.isPresent(found), Condition.numberGreaterThan(found, 0)), record)
      .when(needsRevision, set.both)
      .otherwise(set.count),
  );
  const isEnough = Condition.numberGreaterThanEqualsJsonPath('$.raised.count', SAVED_COUNT);
  record.next(
    new Choice(scope, ECS.isRaisedEnough)
      .when(Condition.and(isEnough, needsRevision), set.revision)
      .when(isEnough, begin)
      .when(needsRevision, set.both)
      .otherwise(set.count),
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
  // Of the tasks that are counted.
  'revision.$': "$.Services[*].Deployments[?(@.Status == 'PRIMARY')].TaskDefinition",
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
