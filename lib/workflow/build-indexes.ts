import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  Errors,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Environment } from '../config/environment-config.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import { invokeFunction } from './invoke-function.ts';
import { buildRetry, CONNECTION_RETRY } from './retry-and-catch.ts';
import { BUILD_INDEXES } from './state-names.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface BuildIndexesProps {
  machineName: string;
  functions: WorkflowFunctions;
  builds: Environment['builds'];
}

/**
 * The state machine `build-indexes`:
 * 1. Plan: find the missing indexes and group them into lanes, one for each table.
 * 2. Build the lanes at the same time, and the indexes of a lane one after the other. For each index: start the build,
 *    check it until it has ended, and record a failure with Settle Index.
 * 3. Plan Again: find the remaining indexes. If another state machine started this execution, it starts a new execution
 *    for them, whose history is empty. Otherwise this execution continues with step 2.
 */
export class BuildIndexes extends Construct {
  readonly machine: WorkflowMachine;

  constructor(scope: Construct, id: string, props: BuildIndexesProps) {
    super(scope, id);
    const planPayload = TaskInput.fromObject({
      execution: JsonPath.executionName,
      request: JsonPath.objectAt('$$.Execution.Input'),
    });
    const plan = invokeFunction(this, BUILD_INDEXES.plan, props.functions, {
      function: 'plan-builds',
      payload: planPayload,
      comment: 'Finds the missing indexes and groups them into lanes, one for each table',
    });
    plan.addRetry(CONNECTION_RETRY);
    const planAgain = invokeFunction(this, BUILD_INDEXES.planAgain, props.functions, {
      function: 'plan-builds',
      payload: planPayload,
      comment: 'Counts the failed indexes and finds the remaining ones',
    });
    planAgain.addRetry(CONNECTION_RETRY);

    const done = new Pass(this, BUILD_INDEXES.done);
    const buildLanes = this.buildLanes(props);
    plan.next(
      new Choice(this, BUILD_INDEXES.anythingToBuild)
        .when(Condition.stringEquals('$.decision', 'build'), buildLanes)
        .otherwise(done),
    );
    buildLanes
      .next(planAgain)
      .next(
        new Choice(this, BUILD_INDEXES.moreToBuild)
          .when(
            Condition.and(
              Condition.stringEquals('$.decision', 'build'),
              Condition.not(Condition.isPresent('$$.Execution.Input.deploy')),
            ),
            buildLanes,
          )
          .otherwise(done),
      );
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Builds the indexes of the registry that are missing in the database',
      definition: plan,
      timeout: Duration.days(7),
    });
  }

  private buildLanes(props: BuildIndexesProps): MapState {
    const lanes = new MapState(this, BUILD_INDEXES.buildLanes, {
      comment: 'Builds on several tables at the same time',
      maxConcurrency: props.builds.maxConcurrent,
      itemsPath: '$.lanes',
      itemSelector: { 'deploy.$': '$.deploy', 'until.$': '$.until', 'lane.$': '$$.Map.Item.Value' },
      resultPath: JsonPath.DISCARD,
    });
    const lane = new MapState(this, BUILD_INDEXES.buildLane, {
      comment: 'Builds one index at a time, because two concurrent builds on one table deadlock',
      maxConcurrency: 1,
      itemsPath: '$.lane.indexes',
      itemSelector: { 'deploy.$': '$.deploy', 'until.$': '$.until', 'index.$': '$$.Map.Item.Value' },
      resultPath: JsonPath.DISCARD,
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

    const done = new Pass(this, BUILD_INDEXES.indexDone);
    build.addCatch(settle, { errors: [Errors.ALL], resultPath: '$.error' });
    check.addCatch(settle, { errors: [Errors.ALL], resultPath: '$.error' });
    settle.next(done);

    const state = '$.build.output.state';
    const wait = new Wait(this, BUILD_INDEXES.waitForBuild, {
      time: WaitTime.secondsPath('$.build.output.waitSeconds'),
    });
    build.next(
      new Choice(this, BUILD_INDEXES.stillBuilding)
        .when(Condition.stringEquals(state, 'building'), wait)
        .when(Condition.stringEquals(state, 'interrupted'), build)
        .otherwise(done),
    );
    wait.next(check);
    check.next(
      new Choice(this, BUILD_INDEXES.indexValid)
        .when(Condition.stringEquals(state, 'building'), wait)
        .when(Condition.stringEquals(state, 'interrupted'), build)
        .otherwise(done),
    );
    return build;
  }
}
