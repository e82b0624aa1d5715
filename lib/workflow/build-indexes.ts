import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
  Result,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Environment } from '../config/environment-config.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import type { LogSettings } from '../logs/log-settings.ts';
import { invokeFunction } from './invoke-function.ts';
import { buildRetry, CONNECTION_RETRY, catchAll } from './retry-and-catch.ts';
import { BUILD_INDEXES } from './state-names.ts';
import { WorkflowMachine } from './workflow-machine.ts';

/** Fields of the result of Build Index and Check Index. */
const STATE = '$.build.output.state';
const WAIT_SECONDS = '$.build.output.waitSeconds';

export interface BuildIndexesProps {
  machineName: string;
  functions: WorkflowFunctions;
  builds: Environment['builds'];
  logs: LogSettings;
}

/**
 * The state machine `build-indexes`:
 * 1. Plan: find the missing indexes and group them into lanes, one for each table. Many small builds form batches instead.
 * 2. Build the batches at the same time. Each plans its own builds and makes them one after the other in one invocation. What
 *    cannot be built at once is left for a lane of the next round.
 * 3. Build the lanes at the same time, and the indexes of a lane one after the other. For each index: start the build,
 *    check it until it has ended, and record a failure with Settle Index.
 * 4. Plan Again: find the remaining indexes. If another state machine started this execution, it starts a new execution
 *    for them, whose history is empty. Otherwise this execution continues with step 2.
 */
export class BuildIndexes extends Construct {
  readonly machine: WorkflowMachine;

  constructor(scope: Construct, id: string, props: BuildIndexesProps) {
    super(scope, id);
    const request = {
      execution: JsonPath.executionName,
      request: JsonPath.objectAt('$$.Execution.Input'),
    };
    const plan = invokeFunction(this, BUILD_INDEXES.plan, props.functions, {
      function: 'plan-builds',
      payload: TaskInput.fromObject(request),
      comment: 'Finds the missing indexes and groups them into lanes, one for each table',
    });
    plan.addRetry(CONNECTION_RETRY);
    const planAgain = invokeFunction(this, BUILD_INDEXES.planAgain, props.functions, {
      function: 'plan-builds',
      payload: TaskInput.fromObject({
        ...request,
        // These paths give an empty list where they find nothing.
        unrecordedFailures: JsonPath.listAt('$.unrecordedFailures[*]'),
        settled: JsonPath.listAt('$.lanes[*][*].settled'),
        failedBatches: JsonPath.listAt('$.failedBatches[*]'),
        batchErrors: JsonPath.listAt('$.batches[*].error'),
      }),
      comment: 'Counts the failed indexes and finds the remaining ones',
    });
    planAgain.addRetry(CONNECTION_RETRY);

    const done = new Pass(this, BUILD_INDEXES.done);
    const buildBatches = this.buildBatches(props);
    const buildLanes = this.buildLanes(props);
    buildBatches.next(buildLanes);
    const toBuild = Condition.stringEquals('$.decision', 'build');
    const anyBatch = Condition.isPresent('$.batches[0]');
    plan.next(
      new Choice(this, BUILD_INDEXES.anythingToBuild)
        .when(Condition.and(toBuild, anyBatch), buildBatches)
        .when(toBuild, buildLanes)
        .otherwise(done),
    );
    // No other state machine starts an execution for the next round.
    const isAlone = Condition.not(Condition.isPresent('$$.Execution.Input.deploy'));
    buildLanes.next(planAgain).next(
      new Choice(this, BUILD_INDEXES.moreToBuild)
        .when(Condition.and(toBuild, isAlone, anyBatch), buildBatches)
        .when(Condition.and(toBuild, isAlone), buildLanes)
        .otherwise(done),
    );
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Builds the indexes of the registry that are missing in the database',
      definition: plan,
      timeout: Duration.days(7),
      logs: props.logs,
    });
  }

  private buildBatches(props: BuildIndexesProps): MapState {
    const batches = new MapState(this, BUILD_INDEXES.buildBatches, {
      comment:
        'Many small builds. They come before the lanes, so that no more builds run than are configured',
      maxConcurrency: props.builds.maxConcurrent,
      itemsPath: '$.batches',
      itemSelector: { 'deploy.$': '$.deploy', 'until.$': '$.until', 'batch.$': '$$.Map.Item.Value' },
      // Counts and names of errors only.
      resultPath: '$.batches',
    });
    const build = invokeFunction(this, BUILD_INDEXES.buildBatch, props.functions, {
      function: 'build-index',
      payload: TaskInput.fromObject({
        deploy: JsonPath.stringAt('$.deploy'),
        batch: JsonPath.objectAt('$.batch'),
        until: JsonPath.stringAt('$.until'),
        request: JsonPath.objectAt('$$.Execution.Input'),
      }),
      comment: 'Builds one index after the other, until its time is used up. The ledger has the results',
    });
    build.addRetry(CONNECTION_RETRY);
    const failed = new Pass(this, BUILD_INDEXES.batchFailed, {
      comment: 'Nothing is lost: the next plan finds what is missing',
      parameters: { 'error.$': '$.error.Error' },
    });
    catchAll(build, failed, '$.error');
    batches.itemProcessor(build);
    return batches;
  }

  private buildLanes(props: BuildIndexesProps): MapState {
    const lanes = new MapState(this, BUILD_INDEXES.buildLanes, {
      comment: 'Builds on several tables at the same time',
      maxConcurrency: props.builds.maxConcurrent,
      itemsPath: '$.lanes',
      itemSelector: { 'deploy.$': '$.deploy', 'until.$': '$.until', 'lane.$': '$$.Map.Item.Value' },
      // The outputs replace the lanes, so that the state never contains both.
      resultPath: '$.lanes',
    });
    const lane = new MapState(this, BUILD_INDEXES.buildLane, {
      comment: 'Builds one index at a time, because two concurrent builds on one table deadlock',
      maxConcurrency: 1,
      itemsPath: '$.lane.indexes',
      itemSelector: { 'deploy.$': '$.deploy', 'until.$': '$.until', 'index.$': '$$.Map.Item.Value' },
    });
    lane.itemProcessor(this.buildOne(props));
    lanes.itemProcessor(lane);
    return lanes;
  }

  private buildOne(props: BuildIndexesProps): IChainable {
    const one = TaskInput.fromObject({
      deploy: JsonPath.stringAt('$.deploy'),
      index: JsonPath.stringAt('$.index'),
      until: JsonPath.stringAt('$.until'),
    });
    const build = invokeFunction(this, BUILD_INDEXES.buildIndex, props.functions, {
      function: 'build-index',
      payload: one,
      resultPath: '$.build',
      comment: 'Acquires the lock, starts the build and waits. A longer build continues without the function',
    });
    const retry = buildRetry(props.builds);
    if (retry !== undefined) build.addRetry(retry);

    const check = invokeFunction(this, BUILD_INDEXES.checkIndex, props.functions, {
      function: 'check-index',
      payload: one,
      resultPath: '$.build',
      comment: 'Checks whether the build is still running and the index is valid',
    });
    check.addRetry(CONNECTION_RETRY);

    const settle = invokeFunction(this, BUILD_INDEXES.settleIndex, props.functions, {
      function: 'settle-index',
      payload: TaskInput.fromObject({
        deploy: JsonPath.stringAt('$.deploy'),
        index: JsonPath.stringAt('$.index'),
        error: JsonPath.objectAt('$.error'),
      }),
      resultPath: '$.build',
      comment: 'After the last attempt: removes an invalid index and records the failure',
    });
    settle.addRetry(CONNECTION_RETRY);

    const done = new Pass(this, BUILD_INDEXES.indexDone, {
      comment: 'No output, because the outputs of all indexes of a round form one state',
      result: Result.fromObject({}),
    });
    const unreadable = new Pass(this, BUILD_INDEXES.unreadableResult, {
      comment: 'A path to a missing field would end the execution, which no Catch could prevent',
      result: Result.fromObject({
        Error: 'UnreadableResult',
        Cause:
          'Build Index or Check Index returned a result without a known state or without a valid waitSeconds',
      }),
      resultPath: '$.error',
    });
    unreadable.next(settle);
    catchAll(build, settle, '$.error');
    catchAll(check, settle, '$.error');
    settle.next(
      new Pass(this, BUILD_INDEXES.indexSettled, {
        comment: 'Only names, because the outputs of all indexes of a round form one state',
        parameters: { settled: { 'index.$': '$.index', 'error.$': '$.error.Error' } },
      }),
    );
    catchAll(
      settle,
      new Pass(this, BUILD_INDEXES.indexNotSettled, {
        comment: 'Plan Again counts the index as failed',
        parameters: {
          settled: {
            'index.$': '$.index',
            'error.$': '$.error.Error',
            'settleError.$': '$.settleError.Error',
          },
        },
      }),
      '$.settleError',
    );

    const wait = new Wait(this, BUILD_INDEXES.waitForBuild, {
      time: WaitTime.secondsPath(WAIT_SECONDS),
    });
    const whatNext = (name: string) =>
      new Choice(this, name)
        .when(Condition.not(Condition.isPresent(STATE)), unreadable)
        .when(Condition.and(Condition.stringEquals(STATE, 'building'), canWait()), wait)
        .when(Condition.stringEquals(STATE, 'interrupted'), build)
        .when(Condition.or(...['done', 'left'].map((state) => Condition.stringEquals(STATE, state))), done)
        .otherwise(unreadable);
    build.next(whatNext(BUILD_INDEXES.stillBuilding));
    wait.next(check);
    check.next(whatNext(BUILD_INDEXES.indexValid));
    return build;
  }
}

/** Whether Wait For Build accepts the pause. The functions check that it is an integer. */
function canWait(): Condition {
  return Condition.and(
    Condition.isPresent(WAIT_SECONDS),
    Condition.isNumeric(WAIT_SECONDS),
    Condition.numberGreaterThanEquals(WAIT_SECONDS, 0),
    Condition.numberLessThanEquals(WAIT_SECONDS, Duration.days(1).toSeconds()),
  );
}
