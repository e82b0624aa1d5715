import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import {
  type CatchProps,
  Choice,
  Condition,
  Errors,
  Fail,
  type IChainable,
  JsonPath,
  Pass,
  type StateMachine,
  Succeed,
  TaskInput,
  type TaskStateBase,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Environment } from '../config/environment-config.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import { buildRounds } from './build-rounds.ts';
import { invokeFunction } from './invoke-function.ts';
import { NULL } from './null-parameters.ts';
import { publishAlert } from './publish-alert.ts';
import { RESTORE_RETRY } from './retry-and-catch.ts';
import { putMemory } from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { startExecution } from './start-execution.ts';
import { DEPLOY } from './state-names.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface DeployProps {
  machineName: string;
  environment: Environment;
  functions: WorkflowFunctions;
  maintenanceWindow: StateMachine;
  buildIndexes: StateMachine;
  startServices: StateMachine;
  services: ServiceTargets;
  topic: sns.ITopic;
}

const EXECUTION = {
  id: JsonPath.executionId,
  name: JsonPath.executionName,
  startedAt: JsonPath.executionStartTime,
};

/**
 * The state machine `deploy`, the finally block: preflight, the maintenance window as a child whose failure of any kind
 * is caught, the services started again, indexes left for afterwards, the report, the alert. It does nothing itself that
 * can break.
 */
export class Deploy extends Construct {
  readonly machine: WorkflowMachine;

  private readonly props: DeployProps;

  constructor(scope: Construct, id: string, props: DeployProps) {
    super(scope, id);
    this.props = props;
    const report = this.report();
    const online = this.buildOnline(report);
    const start = this.start(online, report);
    const window = this.window(start, report);
    const preflight = this.preflight(report, { window, online, start });
    // Whatever a person or a pipeline typed, the states below find an object.
    const begin = new Pass(this, DEPLOY.begin, { parameters: { 'input.$': '$' } });
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Deploys: stops services, migrates, builds indexes, starts services, reports',
      definition: begin.next(preflight),
      timeout: Duration.days(14),
    });
  }

  private preflight(
    report: IChainable,
    ways: { window: IChainable; online: IChainable; start: IChainable },
  ): IChainable {
    const preflight = invokeFunction(this, DEPLOY.preflight, this.props.functions, {
      function: 'preflight',
      payload: TaskInput.fromObject({ execution: EXECUTION, input: JsonPath.objectAt('$.input') }),
      comment: 'Is there something to do, and may it be done? Nothing is stopped before it has said so',
    });
    caught(preflight, report, '$.preflightFailure');
    const decided = (decision: string) => Condition.stringEquals('$.decision', decision);
    return preflight.next(
      new Choice(this, DEPLOY.whatToDo)
        .when(decided('deploy'), ways.window)
        .when(decided('indexes'), ways.online)
        .when(decided('start-services'), ways.start)
        // All is as it should be: what an earlier deploy left stopped has no reason to stay so.
        .when(decided('nothing'), ways.start)
        .otherwise(report),
    );
  }

  private window(start: IChainable, report: IChainable): IChainable {
    const window = startExecution(this, DEPLOY.maintenanceWindow, {
      machine: this.props.maintenanceWindow,
      comment: 'All that can break runs in there; whatever becomes of it, the services are looked after here',
      input: {
        deploy: JsonPath.stringAt('$.deploy'),
        execution: JsonPath.executionId,
        indexes: JsonPath.listAt('$.indexes'),
      },
      resultPath: '$.window',
    });
    caught(window, start, '$.windowFailure');
    const verdict = (services: string) =>
      Condition.and(
        Condition.isPresent('$.window.output.services'),
        Condition.stringEquals('$.window.output.services', services),
      );
    return window.next(
      new Choice(this, DEPLOY.shouldStartServices)
        .when(verdict('leave-stopped'), this.leftStopped(report))
        .when(verdict('untouched'), report)
        .otherwise(start),
    );
  }

  /** Remembers that services are stopped on purpose, so that no recovery starts them. */
  private leftStopped(report: IChainable): IChainable {
    const { services } = this.props;
    // A marker without services would be there still when the environment is given some.
    if (services.items.length === 0) return report;
    const note = new Pass(this, DEPLOY.recordLeftStopped, {
      parameters: { 'deploy.$': '$.deploy', 'since.$': '$$.State.EnteredTime' },
      resultPath: '$.remembered',
    });
    const mark = putMemory(this, DEPLOY.saveMarker, services.marker, true);
    mark.addRetry(RESTORE_RETRY);
    caught(mark, report, '$.markFailure');
    note.next(mark).next(report);
    return note;
  }

  private start(online: IChainable, report: IChainable): IChainable {
    const start = startExecution(this, DEPLOY.startServices, {
      machine: this.props.startServices,
      comment: 'Whatever happened to the non-critical indexes',
      input: { deploy: JsonPath.stringAt('$.deploy') },
      resultPath: '$.start',
    });
    start.addRetry(RESTORE_RETRY);
    caught(start, report, '$.startFailure');
    const { builds, windowMinutes } = this.props.environment;
    if (builds.when === 'before-start' && windowMinutes === undefined) return start.next(report);
    return start.next(
      new Choice(this, DEPLOY.buildsRemaining)
        .when(
          Condition.and(
            Condition.isPresent('$.window.output.verdict'),
            Condition.stringEquals('$.window.output.verdict', 'ok'),
          ),
          online,
        )
        .otherwise(report),
    );
  }

  private buildOnline(report: IChainable): IChainable {
    const build = buildRounds(this, {
      build: DEPLOY.buildOnline,
      more: DEPLOY.moreToBuildOnline,
      machine: this.props.buildIndexes,
      scope: 'all',
      comment: 'While the services run',
      after: report,
    });
    caught(build, report, '$.buildsFailure');
    return build;
  }

  private report(): IChainable {
    const report = invokeFunction(this, DEPLOY.report, this.props.functions, {
      function: 'report',
      payload: TaskInput.fromObject({ execution: EXECUTION, state: JsonPath.objectAt('$') }),
      comment: 'Always comes, also when the database is gone',
    });
    const lost = new Pass(this, DEPLOY.reportFailed, {
      parameters: {
        report: NULL,
        status: 'failed',
        'failure.$':
          "States.Format('The report could not be made: {}. Look at the execution {}', $.reportFailure.Error, $$.Execution.Name)",
        alert: {
          needed: true,
          subject: 'pg-deploy-step: the report of a deploy is lost',
          'message.$':
            "States.Format('The report of the deploy {} could not be made ({}). Its history tells what was done, also whether its services were started: open the execution {}.', $$.Execution.Name, $.reportFailure.Error, $$.Execution.Id)",
        },
      },
    });
    caught(report, lost, '$.reportFailure');

    const failed = new Fail(this, DEPLOY.failed, { error: 'DeployFailed', causePath: '$.failure' });
    const succeeded = new Succeed(this, DEPLOY.succeeded, { outputPath: '$.report' });
    const ended = new Choice(this, DEPLOY.isSucceeded)
      .when(Condition.stringEquals('$.status', 'succeeded'), succeeded)
      .otherwise(failed);
    const alert = publishAlert(this, DEPLOY.alert, this.props.topic);
    // An alert that cannot be sent must not change how the deploy ends.
    alert.addCatch(ended, { errors: [Errors.ALL], resultPath: '$.alertFailure' });
    alert.next(ended);
    const needed = new Choice(this, DEPLOY.alertNeeded)
      .when(Condition.booleanEquals('$.alert.needed', true), alert)
      .otherwise(ended);
    lost.next(needed);
    report.next(needed);
    return report;
  }
}

/** Catches all that can be caught: States.ALL leaves States.DataLimitExceeded out, so it is named. */
function caught(state: TaskStateBase, next: IChainable, resultPath: string): void {
  const catching = (error: string): CatchProps => ({ errors: [error], resultPath });
  state.addCatch(next, catching('States.DataLimitExceeded'));
  state.addCatch(next, catching(Errors.ALL));
}
