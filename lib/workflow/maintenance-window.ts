import { Duration } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Choice, Condition, type IChainable, JsonPath, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { BuildScope } from '../../lambdas/shared/build-payloads.ts';
import type { WINDOW_VERDICTS } from '../../lambdas/shared/payloads.ts';
import type { Environment } from '../config/environment-config.ts';
import type { ResourceNames } from '../config/resource-names.ts';
import type { WorkflowFunctions } from '../functions/workflow-functions.ts';
import type { LogSettings } from '../logs/log-settings.ts';
import { buildRounds, UNRECORDED_FAILURES } from './build-rounds.ts';
import { drainSessions } from './drain-sessions.ts';
import { runMigrations } from './migrations/run-migrations.ts';
import { NULL } from './null-parameters.ts';
import { IS_REHEARSAL, saveServices } from './save-services.ts';
import type { ServiceTargets } from './services/service-targets.ts';
import { type StillStoppedNames, WINDOW } from './state-names.ts';
import { NOTHING_RAISED, stillStopped } from './still-stopped.ts';
import { checkServices, stopServices } from './stop-services.ts';
import { updateRevisions } from './update-revisions.ts';
import { WorkflowMachine } from './workflow-machine.ts';

type Verdict = (typeof WINDOW_VERDICTS)[number];

export interface MaintenanceWindowProps {
  names: ResourceNames;
  functions: WorkflowFunctions;
  buildIndexes: WorkflowMachine;
  services: ServiceTargets;
  environment: Environment;
  logs: LogSettings;
}

/**
 * The state machine `maintenance-window`:
 * 1. check all services, and wait for ECS deployments that are running;
 * 2. save their states, stop them and wait until they have stopped;
 * 3. wait until the database sessions of the application are closed;
 * 4. run the migrations;
 * 5. build the indexes.
 * Before 4, before and after 5 it checks that no one has started a service again.
 * A rehearsal, for the mode `plan`, is 1 without the waiting, and then only reads the saved states and the marker.
 * With `update` in the input it only gives running services other revisions after 1: see update-revisions.ts.
 * It ends with a verdict as data. Only unexpected problems are errors, which `deploy` catches.
 */
export class MaintenanceWindow extends Construct {
  readonly machine: WorkflowMachine;
  private readonly props: MaintenanceWindowProps;
  private readonly revisionRights: PolicyStatement[] = [];

  constructor(scope: Construct, id: string, props: MaintenanceWindowProps) {
    super(scope, id);
    this.props = props;
    const ok = this.verdict(WINDOW.verdicts.complete, 'ok', 'start');
    const critical = this.verdict(
      WINDOW.verdicts.criticalIndexFailed,
      'critical-failed',
      props.environment.onCriticalFailure,
    );
    const startedByOthers = this.verdict(
      WINDOW.verdicts.servicesStartedByOthers,
      'services-started-by-others',
      'start',
    );
    const unlessStarted = (names: StillStoppedNames, next: IChainable) =>
      stillStopped(this, { services: props.services, names, next, raised: startedByOthers });
    const { beforeMigrations, beforeBuilds, afterBuilds } = WINDOW.stillStopped;
    const build = this.build({
      before: (build) => unlessStarted(beforeBuilds, build),
      ok: unlessStarted(afterBuilds, ok),
      critical,
    });
    const { migrations } = props.environment;
    const migrated = runMigrations(this, migrations, {
      functions: props.functions,
      names: props.names,
      environment: props.environment,
      next: build,
      failed: this.verdict(
        WINDOW.verdicts.migrationFailed,
        'migration-failed',
        props.environment.onMigrationFailure,
      ),
    });
    const drain = this.drain(
      migrations.runner === 'none' ? migrated : unlessStarted(beforeMigrations, migrated),
    );
    const begin = new Pass(this, WINDOW.begin, {
      parameters: {
        'deploy.$': '$.deploy',
        'execution.$': '$.execution',
        'indexes.$': '$.indexes',
        'rehearsal.$': '$.rehearsal',
        'update.$': '$.update',
        'startedAt.$': '$$.State.EnteredTime',
        services: props.services.items.map((item) => withRequestedRevision(item, props.services)),
        counted: props.services.counted,
        rounds: { round: 0 },
        checked: [],
        stopped: [],
        raised: NOTHING_RAISED,
        sessions: { output: { sessions: NULL } },
        migrations: { output: NULL },
      },
    });
    begin.next(props.services.items.length === 0 ? drain : this.stop(drain, startedByOthers));
    this.machine = new WorkflowMachine(this, 'Machine', {
      machineName: props.names.machines.maintenanceWindow,
      comment: 'Stops services, runs migrations, builds indexes, and ends with a verdict',
      definition: begin,
      timeout: Duration.days(7),
      logs: props.logs,
    });
    for (const right of this.revisionRights) this.machine.addToRolePolicy(right);
    // Also if this configuration does not use them: an execution that started with an earlier one may invoke them.
    this.machine.addToRolePolicy(
      props.functions.mayInvoke('check-sessions', 'run-migrations', 'check-migrations'),
    );
  }

  private stop(next: IChainable, startedByOthers: IChainable): IChainable {
    const check = checkServices(this, this.props.services);
    const refused = this.verdict(WINDOW.verdicts.servicesCannotBeStopped, 'services-refused', 'untouched');
    const stop = stopServices(this, this.props.services);
    const rehearsed = this.verdict(WINDOW.verdicts.rehearsed, 'rehearsed', 'untouched', {
      'saved.$': '$.listed.names',
      'marker.$': '$.marker.text',
    });
    const saving = saveServices(this, this.props.services, { saved: stop, rehearsed });
    const notStopped = this.verdict(WINDOW.verdicts.servicesNotStopped, 'services-not-stopped', 'start');
    // A deployment of another service, or scaling, may have begun while the check waited.
    const again = new Pass(this, WINDOW.checkAgain, {
      parameters: { round: JsonPath.mathAdd(JsonPath.numberAt('$.rounds.round'), 1) },
      resultPath: '$.rounds',
    });
    const allCanBeStopped = new Choice(this, WINDOW.allCanBeStopped);
    check.next(
      summarize(this, WINDOW.summarizeChecks, {
        refused: contains('$.checked[*].usable', 'false'),
        waited: contains('$.checked[*].waited', 'true'),
      }).next(allCanBeStopped),
    );
    allCanBeStopped
      .when(IS_REHEARSAL, saving.rehearse)
      .when(Condition.booleanEquals('$.summary.refused', true), refused)
      .when(Condition.booleanEquals('$.summary.waited', true), again);
    if (this.props.services.withRevisions.length > 0)
      allCanBeStopped.when(Condition.booleanEquals('$.update', true), this.update());
    allCanBeStopped.otherwise(saving.save);
    again.next(check);
    stop.next(
      summarize(this, WINDOW.summarizeStopped, {
        startedByOthers: contains('$.stopped[*].outcome', "'started-by-others'"),
        late: contains('$.stopped[*].outcome', "'not-stopped'"),
        failed: contains('$.stopped[*].outcome', "'failed'"),
      }).next(
        new Choice(this, WINDOW.allStopped)
          .when(Condition.booleanEquals('$.summary.startedByOthers', true), startedByOthers)
          .when(
            Condition.or(
              Condition.booleanEquals('$.summary.late', true),
              Condition.booleanEquals('$.summary.failed', true),
            ),
            notStopped,
          )
          .otherwise(next),
      ),
    );
    return check;
  }

  /** Gives running services their new revisions. Nothing is stopped. */
  private update(): IChainable {
    for (const kind of this.props.services.kinds)
      for (const right of kind.revisionRights ?? []) this.revisionRights.push(right);
    return updateRevisions(this, this.props.services).next(
      new Pass(this, WINDOW.update.ended, {
        parameters: {
          'checked.$': '$.checked',
          'updated.$': '$.updated',
          'failed.$': contains('$.updated[*].ok', 'false'),
        },
      }),
    );
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

  private build(next: {
    before: (build: IChainable) => IChainable;
    ok: IChainable;
    critical: IChainable;
  }): IChainable {
    const scope: BuildScope = this.props.environment.builds.when === 'after-start' ? 'critical' : 'all';
    const { first } = buildRounds(this, {
      build: WINDOW.buildIndexes,
      more: WINDOW.moreToBuild,
      machine: this.props.buildIndexes,
      scope,
      input: { windowStartedAt: JsonPath.stringAt('$.startedAt') },
      comment: 'Builds the missing indexes of the registry until the window ends',
      before: next.before,
      after: new Choice(this, WINDOW.anyCriticalFailed)
        .when(Condition.numberGreaterThan('$.builds.output.failed.critical', 0), next.critical)
        .otherwise(next.ok),
    });
    return first;
  }

  private verdict(
    id: string,
    verdict: Verdict,
    services: 'start' | 'leave-stopped' | 'untouched',
    more: Record<string, string> = {},
  ): Pass {
    return new Pass(this, id, {
      parameters: {
        verdict,
        services,
        'checked.$': '$.checked',
        'stopped.$': '$.stopped',
        'raised.$': '$.raised',
        'sessions.$': '$.sessions.output.sessions',
        'migrations.$': '$.migrations.output',
        'unrecordedFailures.$': UNRECORDED_FAILURES,
        ...more,
      },
    });
  }
}

/** Adds the revision that the input of the deploy names for the service: a list, which is empty if it names none. */
function withRequestedRevision(
  item: ServiceTargets['items'][number],
  { withRevisions }: ServiceTargets,
): Record<string, unknown> {
  const name = String(item.name);
  if (!withRevisions.includes(name)) return item;
  return { ...item, 'requested.$': `$.taskDefinitions[?(@.name == '${name}')].taskDefinition` };
}

/** Writes what a list contains to `$.summary`. */
function summarize(scope: Construct, id: string, values: Record<string, string>): Pass {
  return new Pass(scope, id, {
    parameters: Object.fromEntries(Object.entries(values).map(([name, value]) => [`${name}.$`, value])),
    resultPath: '$.summary',
  });
}

function contains(list: string, value: string): string {
  return `States.ArrayContains(${list}, ${value})`;
}
