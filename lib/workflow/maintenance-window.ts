import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  type StateMachine,
} from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { BuildScope, WINDOW_VERDICTS } from '../../lambdas/shared/payloads.ts';
import type { Environment } from '../config/environment-config.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import { buildRounds } from './build-rounds.ts';
import { drainSessions } from './drain-sessions.ts';
import { migrate } from './migrations/run-migrations.ts';
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
  buildIndexes: StateMachine;
  services: ServiceTargets;
  environment: Environment;
}

/**
 * The state machine `maintenance-window`: check all services, stop them, wait for their sessions to go, run migrations,
 * build indexes. It ends with a verdict as data; only the unforeseen is an error, and `deploy` catches that.
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
    const migrated = migrate(this, migrations, {
      functions: props.functions,
      environmentName: props.environmentName,
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
    });
  }

  private stop(next: IChainable): IChainable {
    const check = checkServices(this, this.props.services);
    const refused = this.verdict(WINDOW.verdicts.servicesCannotBeStopped, 'services-refused', 'untouched');
    const stop = stopServices(this, this.props.services);
    const notStopped = this.verdict(WINDOW.verdicts.servicesNotStopped, 'services-not-stopped', 'start');
    check.next(
      anyOf(
        this,
        { look: WINDOW.summarizeChecks, choice: WINDOW.allCanBeStopped },
        { list: '$.checked[*].usable', value: 'false' },
        { yes: refused, no: stop },
      ),
    );
    stop.next(
      anyOf(
        this,
        { look: WINDOW.summarizeStopped, choice: WINDOW.allStopped },
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
      onGone: new Pass(this, WINDOW.noSessionsLeft, {
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
      comment: 'Every index of the registry that is missing, as far as the window lasts',
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
      },
    });
  }
}

/** Goes one way if a list holds a value, and the other way if it does not. */
function anyOf(
  scope: Construct,
  id: { look: string; choice: string },
  { list, value }: { list: string; value: string },
  ways: { yes: IChainable; no: IChainable },
): Pass {
  const look = new Pass(scope, id.look, {
    parameters: { 'any.$': `States.ArrayContains(${list}, ${value})` },
    resultPath: '$.look',
  });
  look.next(
    new Choice(scope, id.choice)
      .when(Condition.booleanEquals('$.look.any', true), ways.yes)
      .otherwise(ways.no),
  );
  return look;
}
