import { Duration } from 'aws-cdk-lib';
import { Choice, Condition, type IChainable, JsonPath, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { BuildScope, WINDOW_VERDICTS } from '../../lambdas/shared/payloads.ts';
import type { Environment } from '../config/environment-config.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import type { LogSettings } from '../logs/log-settings.ts';
import { buildRounds, UNRECORDED_FAILURES } from './build-rounds.ts';
import { drainSessions } from './drain-sessions.ts';
import { runMigrations } from './migrations/run-migrations.ts';
import { NULL } from './null-parameters.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { WINDOW } from './state-names.ts';
import { checkServices, stopServices } from './stop-services.ts';
import { WorkflowMachine } from './workflow-machine.ts';

type Verdict = (typeof WINDOW_VERDICTS)[number];

export interface MaintenanceWindowProps {
  machineName: string;
  environmentName: string;
  functions: WorkflowFunctions;
  buildIndexes: WorkflowMachine;
  services: ServiceTargets;
  environment: Environment;
  logs: LogSettings;
}

/**
 * The state machine `maintenance-window`:
 * 1. check all services;
 * 2. stop them and wait until they have stopped;
 * 3. wait until the database sessions of the application are closed;
 * 4. run the migrations;
 * 5. build the indexes.
 * It ends with a verdict as data. Only unexpected problems are errors, which `deploy` catches.
 */
export class MaintenanceWindow extends Construct {
  readonly machine: WorkflowMachine;
  private readonly props: MaintenanceWindowProps;

  constructor(scope: Construct, id: string, props: MaintenanceWindowProps) {
    super(scope, id);
    this.props = props;
    const ok = this.verdict(WINDOW.verdicts.complete, 'ok', 'start');
    const critical = this.verdict(
      WINDOW.verdicts.criticalIndexFailed,
      'critical-failed',
      props.environment.onCriticalFailure,
    );
    const build = this.build(ok, critical);
    const { migrations } = props.environment;
    const migrated = runMigrations(this, migrations, {
      functions: props.functions,
      environmentName: props.environmentName,
      environment: props.environment,
      next: build,
      failed: this.verdict(
        WINDOW.verdicts.migrationFailed,
        'migration-failed',
        props.environment.onMigrationFailure,
      ),
    });
    const drain = this.drain(migrated);
    const begin = new Pass(this, WINDOW.begin, {
      parameters: {
        'deploy.$': '$.deploy',
        'execution.$': '$.execution',
        'indexes.$': '$.indexes',
        'startedAt.$': '$$.State.EnteredTime',
        services: props.services.items,
        checked: [],
        stopped: [],
        sessions: { output: { sessions: NULL } },
        migrations: { output: NULL },
      },
    });
    begin.next(props.services.items.length === 0 ? drain : this.stop(drain));
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.machineName,
      comment: 'Stops services, runs migrations, builds indexes, and ends with a verdict',
      definition: begin,
      timeout: Duration.days(7),
      logs: props.logs,
    });
    // Also if this configuration does not use them: an execution that started with an earlier one may invoke them.
    this.machine.addToRolePolicy(
      props.functions.mayInvoke('check-sessions', 'run-migrations', 'check-migrations'),
    );
  }

  private stop(next: IChainable): IChainable {
    const check = checkServices(this, this.props.services);
    const refused = this.verdict(WINDOW.verdicts.servicesCannotBeStopped, 'services-refused', 'untouched');
    const stop = stopServices(this, this.props.services);
    const notStopped = this.verdict(WINDOW.verdicts.servicesNotStopped, 'services-not-stopped', 'start');
    check.next(
      anyOf(
        this,
        { summary: WINDOW.summarizeChecks, choice: WINDOW.allCanBeStopped },
        { list: '$.checked[*].usable', value: 'false' },
        { yes: refused, no: stop },
      ),
    );
    stop.next(
      anyOf(
        this,
        { summary: WINDOW.summarizeStopped, choice: WINDOW.allStopped },
        { list: '$.stopped[*].outcome', value: "'not-stopped'" },
        { yes: notStopped, no: next },
      ),
    );
    return check;
  }

  private drain(next: IChainable): IChainable {
    const { drain, pollSeconds } = this.props.environment;
    if (drain === undefined) return next;
    return drainSessions(this, {
      functions: this.props.functions,
      drain,
      pollSeconds,
      onClosed: new Pass(this, WINDOW.noSessionsLeft, {
        parameters: { output: { sessions: NULL } },
        resultPath: '$.sessions',
      }).next(next),
      onRemaining: this.verdict(WINDOW.verdicts.sessionsRemain, 'sessions-remain', 'start'),
    });
  }

  private build(ok: IChainable, critical: IChainable): IChainable {
    const scope: BuildScope = this.props.environment.builds.when === 'after-start' ? 'critical' : 'all';
    return buildRounds(this, {
      build: WINDOW.buildIndexes,
      more: WINDOW.moreToBuild,
      machine: this.props.buildIndexes,
      scope,
      input: { windowStartedAt: JsonPath.stringAt('$.startedAt') },
      comment: 'Builds the missing indexes of the registry until the window ends',
      after: new Choice(this, WINDOW.anyCriticalFailed)
        .when(Condition.numberGreaterThan('$.builds.output.failed.critical', 0), critical)
        .otherwise(ok),
    });
  }

  private verdict(id: string, verdict: Verdict, services: 'start' | 'leave-stopped' | 'untouched'): Pass {
    return new Pass(this, id, {
      parameters: {
        verdict,
        services,
        'checked.$': '$.checked',
        'stopped.$': '$.stopped',
        'sessions.$': '$.sessions.output.sessions',
        'migrations.$': '$.migrations.output',
        'unrecordedFailures.$': UNRECORDED_FAILURES,
      },
    });
  }
}

/** Continues with `yes` if the list contains the value, otherwise with `no`. */
function anyOf(
  scope: Construct,
  names: { summary: string; choice: string },
  { list, value }: { list: string; value: string },
  next: { yes: IChainable; no: IChainable },
): Pass {
  const summary = new Pass(scope, names.summary, {
    parameters: { 'any.$': `States.ArrayContains(${list}, ${value})` },
    resultPath: '$.summary',
  });
  summary.next(
    new Choice(scope, names.choice)
      .when(Condition.booleanEquals('$.summary.any', true), next.yes)
      .otherwise(next.no),
  );
  return summary;
}
