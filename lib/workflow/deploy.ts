import { Duration } from 'aws-cdk-lib';
import type * as sns from 'aws-cdk-lib/aws-sns';
import {
  Choice,
  Condition,
  Errors,
  Fail,
  type IChainable,
  JsonPath,
  Pass,
  Succeed,
  TaskInput,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Environment } from '../config/environment-config.ts';
import type { ResourceNames } from '../config/resource-names.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import type { LogSettings } from '../logs/log-settings.ts';
import { buildRounds } from './build-rounds.ts';
import { DeployLock, LOCK_CHECKS } from './deploy-lock.ts';
import { beginHold, holdAgain } from './hold-services.ts';
import { invokeFunction } from './invoke-function.ts';
import { applyOnline } from './migrations/apply-online.ts';
import { asksRunner, askWhatIsPending } from './migrations/ask-what-is-pending.ts';
import { WINDOW_VERDICTS_OF_DEPLOY } from './migrations/wait-for-migrations.ts';
import { NULL } from './null-parameters.ts';
import { publishAlert } from './publish-alert.ts';
import type { RawTaskState } from './raw-task-state.ts';
import { catchAll, RESTORE_RETRY } from './retry-and-catch.ts';
import { isHoldMarker, putParameter, saveState } from './services/saved-state.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { startExecution } from './start-execution.ts';
import { DEPLOY } from './state-names.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface DeployProps {
  names: ResourceNames;
  environment: Environment;
  functions: WorkflowFunctions;
  maintenanceWindow: WorkflowMachine;
  buildIndexes: WorkflowMachine;
  startServices: WorkflowMachine;
  services: ServiceTargets;
  topic: sns.ITopic;
  logs: LogSettings;
}

const EXECUTION = {
  id: JsonPath.executionId,
  name: JsonPath.executionName,
  startedAt: JsonPath.executionStartTime,
};

const REVISIONS_REQUESTED = Condition.isPresent('$.taskDefinitions[0]');
const HOLD_REQUESTED = Condition.booleanEquals('$.hold', true);
/** The maintenance window has done everything. */
const IS_COMPLETE = Condition.and(
  Condition.isPresent('$.window.output.verdict'),
  Condition.stringEquals('$.window.output.verdict', 'ok'),
);

/** The first states that give running services other revisions. */
interface Update {
  start: IChainable;
  /** The services stay stopped. */
  whileHeld: IChainable;
}

/** Continues with the update if the input names revisions. */
function whenRevisions(choice: Choice, condition: Condition, update: Update | undefined): void {
  if (update === undefined) return;
  choice
    .when(Condition.and(condition, REVISIONS_REQUESTED, HOLD_REQUESTED), update.whileHeld)
    .when(Condition.and(condition, REVISIONS_REQUESTED), update.start);
}

/**
 * The state machine `deploy`. It works like try … finally, and everything that can fail runs in a child execution:
 * 1. The lock is acquired, so that one deploy runs at a time. A plan only reads it.
 *    The application's own migration task or function is asked what is pending, if that is configured.
 * 2. Preflight decides what to do. It refuses the deploy if another execution holds the lock. A plan continues with a rehearsal of the
 *    maintenance window, which checks the services and changes nothing, and then with 6.
 *    Files that are marked as online are applied, and without other work the next step is 5, if `window` of the environment allows it.
 * 3. The maintenance window runs in a child execution, and every error of it is caught.
 * 4. The services are started, or recorded as left stopped deliberately: after a critical failure, or held for the deployment of
 *    the application if the input asks for it.
 * 5. Indexes that remain are built online. Without a window, services get the revisions that the input names by a rolling update.
 * 6. The report is made, an alert is sent if necessary, the lock is released, and the execution succeeds or fails.
 */
export class Deploy extends Construct {
  readonly machine: WorkflowMachine;

  private readonly props: DeployProps;

  constructor(scope: Construct, id: string, props: DeployProps) {
    super(scope, id);
    this.props = props;
    const lock = new DeployLock(this, 'Lock', {
      names: props.names,
      pollSeconds: props.environment.pollSeconds,
    });
    const report = this.report(lock);
    const afterBuilds = this.afterBuilds(report);
    const online = this.buildOnline(afterBuilds.first, report);
    const start = this.start(online, report);
    const hold = this.hold(start, report);
    const update = this.update(hold.again, report);
    afterBuilds.startWith({ update, start, holdAgain: hold.again });
    const window = this.window({ start, hold: hold.begin, report });
    const rehearse = this.rehearseWindow(report);
    const preflight = this.preflight(report, {
      rehearse,
      window,
      online,
      update,
      start,
      holdAgain: hold.again,
    });
    const { migrations } = props.environment;
    const asks = asksRunner(migrations);
    const ask = asks
      ? askWhatIsPending(this, migrations, { names: props.names, next: preflight })
      : preflight;
    // The execution input may be any JSON value. The following states need an object.
    const begin = new Pass(this, DEPLOY.begin, {
      parameters: { 'input.$': '$', lockChecks: LOCK_CHECKS, ...(asks && { pending: NULL }) },
    });
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.names.machines.deploy,
      comment: 'Stops services, runs migrations, builds indexes, starts services, reports',
      definition: begin.next(lock.acquire(ask)),
      timeout: Duration.days(14),
      logs: props.logs,
    });
  }

  private preflight(
    report: IChainable,
    next: Record<'rehearse' | 'window' | 'online' | 'start' | 'holdAgain', IChainable> & {
      update: Update | undefined;
    },
  ): IChainable {
    const { migrations } = this.props.environment;
    const preflight = invokeFunction(this, DEPLOY.preflight, this.props.functions, {
      function: 'preflight',
      payload: TaskInput.fromObject({
        execution: EXECUTION,
        input: JsonPath.objectAt('$.input'),
        lock: JsonPath.objectAt('$.lock'),
        services: this.props.services.withRevisions,
        ...(asksRunner(migrations) && {
          asked: {
            container: 'container' in migrations ? migrations.container : '',
            answer: JsonPath.objectAt('$.pending'),
          },
        }),
      }),
      comment: 'Checks what has to be done and whether it is possible, before any service is stopped',
    });
    catchAll(preflight, report, '$.preflightFailure');
    const decided = (decision: string) => Condition.stringEquals('$.decision', decision);
    const choice = new Choice(this, DEPLOY.whatToDo);
    if (this.mayRunOnline) {
      const { functions, names, environment } = this.props;
      const applied = new Choice(this, DEPLOY.onlineApplied);
      const apply = applyOnline(this, { functions, names, environment, applied, report });
      applied.when(decided('deploy'), next.window).otherwise(next.online);
      choice.when(Condition.booleanEquals('$.online', true), apply);
    }
    choice
      .when(decided('deploy'), next.window)
      .when(decided('indexes'), next.online)
      .when(decided('start-services'), next.start);
    whenRevisions(choice, decided('nothing'), next.update);
    return preflight.next(
      choice
        // A pipeline that is started again: its own deployment is still to come.
        .when(Condition.and(decided('nothing'), HOLD_REQUESTED), next.holdAgain)
        // Nothing is pending, so services that an earlier deploy left stopped can start.
        .when(decided('nothing'), next.start)
        // Also if the database cannot be read: a plan reports everything that is wrong.
        .when(Condition.stringEquals('$.mode', 'plan'), next.rehearse)
        .otherwise(report),
    );
  }

  /** Whether a deploy can do its work without a window. */
  private get mayRunOnline(): boolean {
    return this.props.environment.window !== 'always';
  }

  /** Checks the services as a deploy would, with the same states, and changes nothing. */
  private rehearseWindow(report: IChainable): IChainable {
    if (this.props.services.items.length === 0) return report;
    const rehearse = startExecution(this, DEPLOY.rehearseWindow, {
      machine: this.props.maintenanceWindow,
      comment: 'Checks the services and reads the saved states, and ends before anything is changed',
      input: {
        deploy: JsonPath.stringAt('$.deploy'),
        execution: JsonPath.executionId,
        indexes: JsonPath.listAt('$.indexes'),
        taskDefinitions: JsonPath.listAt('$.taskDefinitions'),
        rehearsal: true,
        update: false,
      },
      resultPath: '$.window',
    });
    catchAll(rehearse, report, '$.windowFailure');
    return rehearse.next(report);
  }

  private window({ start, hold, report }: Record<'start' | 'hold' | 'report', IChainable>): IChainable {
    const window = startExecution(this, DEPLOY.maintenanceWindow, {
      machine: this.props.maintenanceWindow,
      comment: 'Runs in a child execution, so that the services are started after any error of it',
      input: {
        deploy: JsonPath.stringAt('$.deploy'),
        execution: JsonPath.executionId,
        indexes: JsonPath.listAt('$.indexes'),
        taskDefinitions: JsonPath.listAt('$.taskDefinitions'),
        rehearsal: false,
        update: false,
      },
      resultPath: '$.window',
    });
    catchAll(window, start, '$.windowFailure');
    const verdict = (services: string) =>
      Condition.and(
        Condition.isPresent('$.window.output.services'),
        Condition.stringEquals('$.window.output.services', services),
      );
    const afterWindow = new Choice(this, DEPLOY.shouldStartServices)
      .when(verdict('leave-stopped'), this.leftStopped(report))
      .when(verdict('untouched'), report);
    if (this.props.services.withRevisions.length > 0) {
      afterWindow.when(Condition.and(IS_COMPLETE, REVISIONS_REQUESTED), this.completed(start, hold));
    }
    return window.next(
      afterWindow
        // Only after a success: any other deploy has nothing to hold the services for.
        .when(Condition.and(IS_COMPLETE, HOLD_REQUESTED), hold)
        .otherwise(start),
    );
  }

  /**
   * Records that the window has ended, so that the services start on their new revisions, also if the recovery starts them. Only one
   * parameter for all services: after a kill, all of them have the new revisions, or none.
   */
  private completed(start: IChainable, hold: IChainable): IChainable {
    const save = putParameter(this, DEPLOY.completed.save, this.props.services.completed, {
      value: JsonPath.executionId,
      overwrite: true,
    });
    catchAll(save, start, '$.completedFailure');
    return save.next(
      new Choice(this, DEPLOY.completed.shouldHold).when(HOLD_REQUESTED, hold).otherwise(start),
    );
  }

  /** Records that the services are left stopped deliberately, so that no recovery starts them. */
  private leftStopped(report: IChainable): IChainable {
    const { services } = this.props;
    // Without services no execution deletes the marker, so it would still exist when services are configured.
    if (services.items.length === 0) return report;
    const record = new Pass(this, DEPLOY.recordLeftStopped, {
      parameters: { 'deploy.$': '$.deploy', 'since.$': '$$.State.EnteredTime' },
      resultPath: '$.stateToSave',
    });
    const save = saveState(this, DEPLOY.saveMarker, services.marker, true);
    catchAll(save, report, '$.markFailure');
    record.next(save).next(report);
    return record;
  }

  /** Leaves the services stopped. An error starts them. */
  private hold(start: IChainable, report: IChainable): { begin: IChainable; again: IChainable } {
    const { services, startServices, environment } = this.props;
    if (services.items.length === 0) return { begin: start, again: start };
    const { holdMinutes } = environment;
    const begin = beginHold(this, { services, startServices, holdMinutes, held: report, failed: start });
    return {
      begin,
      again: holdAgain(this, { services, hold: begin, nothingStopped: start, failed: report }),
    };
  }

  private start(online: IChainable, report: IChainable): IChainable {
    const start = this.startExecutionOfServices(DEPLOY.startServices, report);
    const { builds, windowMinutes } = this.props.environment;
    if (builds.when === 'before-start' && windowMinutes === undefined) return start.next(report);
    return start.next(
      new Choice(this, DEPLOY.buildsRemaining)
        .when(
          // The builds that a deploy with a hold has left follow the start that ends the hold.
          Condition.or(IS_COMPLETE, isHoldMarker('$.start.output.marker')),
          online,
        )
        .otherwise(report),
    );
  }

  private startExecutionOfServices(id: string, report: IChainable): RawTaskState {
    const start = startExecution(this, id, {
      machine: this.props.startServices,
      comment: 'Starts the services, even if non-critical indexes failed',
      input: {
        deploy: JsonPath.stringAt('$.deploy'),
        window: JsonPath.listAt(WINDOW_VERDICTS_OF_DEPLOY),
      },
      resultPath: '$.start',
    });
    start.addRetry(RESTORE_RETRY);
    catchAll(start, report, '$.startFailure');
    return start;
  }

  /**
   * After a deploy without a window, services that an earlier one left stopped can start, unless a critical index is still
   * missing.
   */
  private afterBuilds(report: IChainable): {
    readonly first: IChainable;
    readonly startWith: (
      next: Record<'start' | 'holdAgain', IChainable> & { update: Update | undefined },
    ) => void;
  } {
    const first = new Choice(this, DEPLOY.startAfterBuilds);
    return {
      first,
      startWith: ({ update, start, holdAgain }) => {
        const isComplete = Condition.and(
          Condition.stringEquals('$.mode', 'deploy'),
          Condition.stringEquals('$.decision', 'indexes'),
          Condition.numberEquals('$.builds.output.failed.critical', 0),
        );
        whenRevisions(first, isComplete, update);
        first
          .when(Condition.and(isComplete, HOLD_REQUESTED), holdAgain)
          .when(isComplete, start)
          .otherwise(report);
      },
    };
  }

  /**
   * Without a window, ECS replaces the tasks of running services with those of the new revisions. Before that, services that an
   * earlier deploy left stopped start, unless they are to be held: then they get their revisions while they are stopped.
   */
  private update(holdAgain: IChainable, report: IChainable): Update | undefined {
    if (this.props.services.withRevisions.length === 0) return undefined;
    const run = startExecution(this, DEPLOY.update.run, {
      machine: this.props.maintenanceWindow,
      comment: 'Nothing has to be stopped: ECS replaces the tasks of the services one by one',
      input: {
        deploy: JsonPath.stringAt('$.deploy'),
        execution: JsonPath.executionId,
        indexes: [],
        taskDefinitions: JsonPath.listAt('$.taskDefinitions'),
        rehearsal: false,
        update: true,
      },
      resultPath: '$.update',
    });
    catchAll(run, report, '$.updateFailure');
    const start = this.startExecutionOfServices(DEPLOY.update.startServices, report);
    start.next(run);
    const failed = '$.update.output.failed';
    run.next(
      new Choice(this, DEPLOY.update.shouldHold)
        .when(
          Condition.and(HOLD_REQUESTED, Condition.isPresent(failed), Condition.booleanEquals(failed, false)),
          holdAgain,
        )
        .otherwise(report),
    );
    return { start, whileHeld: run };
  }

  private buildOnline(after: IChainable, report: IChainable): IChainable {
    const { build } = buildRounds(this, {
      build: DEPLOY.buildOnline,
      more: DEPLOY.moreToBuildOnline,
      machine: this.props.buildIndexes,
      scope: 'all',
      comment: 'Builds the remaining indexes while the services run',
      after,
    });
    catchAll(build, report, '$.buildsFailure');
    return build;
  }

  private report(lock: DeployLock): IChainable {
    const report = invokeFunction(this, DEPLOY.report, this.props.functions, {
      function: 'report',
      payload: TaskInput.fromObject({ execution: EXECUTION, state: JsonPath.objectAt('$') }),
      comment: 'Reports the deploy, even if the database is not available',
    });
    const reportFailed = new Pass(this, DEPLOY.reportFailed, {
      parameters: {
        report: NULL,
        status: 'failed',
        'failure.$':
          "States.Format('The report failed: {}. Open the execution {} to see what the deploy did', $.reportFailure.Error, $$.Execution.Name)",
        alert: {
          needed: true,
          subject: 'pg-deploy-step: the report of a deploy failed',
          // Without the execution's name: the person who starts it chooses the name, and no function escapes it here.
          'message.$':
            "States.Format('The report of the deploy that started at {} failed ({}). The execution history shows what the deploy did and whether it started the services. Open the execution with this start time of the state machine {}.', $$.Execution.StartTime, $.reportFailure.Error, $$.StateMachine.Name)",
        },
      },
    });
    catchAll(report, reportFailed, '$.reportFailure');

    const failed = new Fail(this, DEPLOY.failed, { error: 'DeployFailed', causePath: '$.failure' });
    const succeeded = new Succeed(this, DEPLOY.succeeded, { outputPath: '$.report' });
    const ended = new Choice(this, DEPLOY.isSucceeded)
      .when(Condition.stringEquals('$.status', 'succeeded'), succeeded)
      .otherwise(failed);
    const release = lock.release(ended);
    const alert = publishAlert(this, DEPLOY.alert, this.props.topic);
    // A failed alert must not change the result of the deploy.
    alert.addCatch(release, { errors: [Errors.ALL], resultPath: '$.alertFailure' });
    alert.next(release);
    const needed = new Choice(this, DEPLOY.alertNeeded)
      .when(Condition.booleanEquals('$.alert.needed', true), alert)
      .otherwise(release);
    reportFailed.next(needed);
    report.next(needed);
    return report;
  }
}
