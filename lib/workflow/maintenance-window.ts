import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  Errors,
  type IChainable,
  JsonPath,
  Pass,
  type StateMachine,
  TaskInput,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { BuildScope } from '../../lambdas/shared/payloads.ts';
import type { Environment } from '../config/environment.ts';
import type { TaskFunctions } from '../functions/task-functions.ts';
import { buildRounds } from './build-rounds.ts';
import { invokeTask } from './invoke-task.ts';
import { NULL } from './null.ts';
import { MIGRATION_RETRY } from './retry.ts';
import type { ServiceTargets } from './service-target.ts';
import { stopServices } from './stop-services.ts';
import { WorkflowMachine } from './workflow-machine.ts';

export interface MaintenanceWindowProps {
  machineName: string;
  functions: TaskFunctions;
  buildIndexes: StateMachine;
  services: ServiceTargets;
  environment: Environment;
}

/**
 * The state machine `maintenance-window`: stop services, run migrations, build indexes. It ends with a verdict as data;
 * only the unforeseen is an error, and `deploy` catches that.
 */
export class MaintenanceWindow extends Construct {
  readonly machine: WorkflowMachine;

  private readonly props: MaintenanceWindowProps;

  constructor(scope: Construct, id: string, props: MaintenanceWindowProps) {
    super(scope, id);
    this.props = props;
    const ok = this.verdict('All Built', 'ok', 'start');
    const critical = this.verdict(
      'Critical Index Failed',
      'critical-failed',
      props.environment.onCriticalFailure,
    );
    const build = this.build(ok, critical);
    const migrate = props.environment.migrations === 'none' ? this.noMigrations(build) : this.migrate(build);
    const begin = new Pass(this, 'Begin Window', {
      parameters: {
        'deploy.$': '$.deploy',
        'indexes.$': '$.indexes',
        services: props.services.targets,
        stopped: [],
        migrations: { output: NULL },
      },
    });
    begin.next(props.services.targets.length === 0 ? migrate : this.stop(migrate));
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Stops services, runs migrations, builds indexes, and ends with a verdict',
      definition: begin,
      timeout: Duration.days(7),
    });
  }

  private stop(next: IChainable): IChainable {
    const stop = stopServices(this, {
      services: this.props.services,
      stopMinutes: this.props.environment.stopMinutes,
    });
    const look = new Pass(this, 'Look At Outcomes', {
      parameters: {
        'late.$': "States.ArrayContains($.stopped[*].outcome, 'not-stopped')",
        'missing.$': "States.ArrayContains($.stopped[*].outcome, 'not-found')",
      },
      resultPath: '$.look',
    });
    const notStopped = this.verdict('Services Not Stopped', 'services-not-stopped', 'start');
    stop
      .next(look)
      .next(
        new Choice(this, 'All Stopped?')
          .when(
            Condition.or(
              Condition.booleanEquals('$.look.late', true),
              Condition.booleanEquals('$.look.missing', true),
            ),
            notStopped,
          )
          .otherwise(next),
      );
    return stop;
  }

  private noMigrations(next: IChainable): IChainable {
    return new Pass(this, 'No Migrations Configured').next(next);
  }

  private migrate(next: IChainable): IChainable {
    const onFailure = this.props.environment.onMigrationFailure;
    const failed = this.verdict('Migration Failed', 'migration-failed', onFailure);
    const broken = new Pass(this, 'Migration Broke', {
      parameters: {
        output: {
          status: 'failed',
          applied: [],
          pending: [],
          failure: {
            file: NULL,
            sqlstate: NULL,
            'message.$': "States.Format('{}: {}', $.migrationError.Error, $.migrationError.Cause)",
          },
        },
      },
      resultPath: '$.migrations',
    });
    const run = invokeTask(this, 'Run Migrations', this.props.functions, {
      task: 'run-migrations',
      payload: TaskInput.fromObject({ deploy: JsonPath.stringAt('$.deploy') }),
      resultPath: '$.migrations',
      comment: 'All pending ones in one transaction: it applies them all or none',
    });
    run.addRetry(MIGRATION_RETRY);
    run.addCatch(broken, { errors: [Errors.ALL], resultPath: '$.migrationError' });
    broken.next(failed);
    run.next(
      new Choice(this, 'Migrations Applied?')
        .when(Condition.stringEquals('$.migrations.output.status', 'applied'), next)
        .otherwise(failed),
    );
    return run;
  }

  private build(ok: IChainable, critical: IChainable): IChainable {
    const scope: BuildScope = this.props.environment.builds.when === 'after-start' ? 'critical' : 'all';
    return buildRounds(this, 'Build Indexes', {
      machine: this.props.buildIndexes,
      scope,
      comment: 'Every index of the registry that is missing',
      after: new Choice(this, 'Critical Index Lost?')
        .when(Condition.numberGreaterThan('$.builds.output.failed.critical', 0), critical)
        .otherwise(ok),
    });
  }

  private verdict(id: string, verdict: string, services: 'start' | 'leave-stopped'): Pass {
    return new Pass(this, id, {
      parameters: { verdict, services, 'stopped.$': '$.stopped', 'migrations.$': '$.migrations.output' },
    });
  }
}
