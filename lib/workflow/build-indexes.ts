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
 * The state machine `build-indexes`: plan, then every lane side by side, within a lane one index after the other; an
 * index is built, and looked at until its build has ended. Afterwards Plan says whether more remains: a parent asks
 * again in a new execution, whose history begins anew; started by a person, it goes on by itself.
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
      comment: 'What is missing, in lanes: one table, one build at a time',
    });
    plan.addRetry(CONNECTION_RETRY);
    const planAgain = invokeFunction(this, BUILD_INDEXES.planAgain, props.functions, {
      function: 'plan-builds',
      payload: planPayload,
      comment: 'Counts what was given up and finds what is left',
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
      comment: 'Builds what the registry lists and the database lacks',
      definition: plan,
      timeout: Duration.days(7),
    });
  }

  private buildLanes(props: BuildIndexesProps): MapState {
    const lanes = new MapState(this, BUILD_INDEXES.buildLanes, {
      comment: 'Tables side by side',
      maxConcurrency: props.builds.maxConcurrent,
      itemsPath: '$.lanes',
      itemSelector: { 'deploy.$': '$.deploy', 'until.$': '$.until', 'lane.$': '$$.Map.Item.Value' },
      resultPath: JsonPath.DISCARD,
    });
    const lane = new MapState(this, BUILD_INDEXES.buildLane, {
      comment: 'Two concurrent builds on one table deadlock, so they go one at a time',
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
      comment: 'Lock, start, wait a while; a longer build goes on without its Lambda',
    });
    const retry = buildRetry(props.builds);
    if (retry !== undefined) build.addRetry(retry);

    const check = invokeFunction(this, BUILD_INDEXES.checkIndex, props.functions, {
      function: 'check-index',
      payload: one,
      resultPath: '$.build',
      comment: 'Is its backend still at it, is it valid?',
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
      comment: 'Attempts are used up: leave nothing invalid, write the failure down',
    });
    settle.addRetry(CONNECTION_RETRY);

    const ended = new Pass(this, BUILD_INDEXES.indexDone);
    build.addCatch(settle, { errors: [Errors.ALL], resultPath: '$.error' });
    check.addCatch(settle, { errors: [Errors.ALL], resultPath: '$.error' });
    settle.next(ended);

    const state = '$.build.output.state';
    const wait = new Wait(this, BUILD_INDEXES.waitForBuild, {
      time: WaitTime.secondsPath('$.build.output.waitSeconds'),
    });
    build.next(
      new Choice(this, BUILD_INDEXES.stillBuilding)
        .when(Condition.stringEquals(state, 'building'), wait)
        .when(Condition.stringEquals(state, 'interrupted'), build)
        .otherwise(ended),
    );
    wait.next(check);
    check.next(
      new Choice(this, BUILD_INDEXES.indexValid)
        .when(Condition.stringEquals(state, 'building'), wait)
        .when(Condition.stringEquals(state, 'interrupted'), build)
        .otherwise(ended),
    );
    return build;
  }
}
