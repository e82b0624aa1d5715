import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { type Condition, type IChainable, Pass, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Service } from '../../config/services-config.ts';

/** How one kind of service is checked, stopped and started. Each method reads `$.service`, one of `ServiceTargets.items`. */
export interface ServiceKind {
  /** `kind` in the configuration. */
  readonly kind: Service['kind'];
  /** Whether services of this kind are configured. */
  readonly isUsed: boolean;
  /** Whether `$.service` and `$.savedState.value.current` have the fields that `start` reads. */
  readonly canBeStarted: Condition;
  /** Checks whether the service can be stopped. @returns the first state */
  check(scope: Construct, next: AfterCheck): State;
  /** Stops the service and waits until it has stopped. @returns the first state */
  stop(scope: Construct, next: AfterStop): State;
  /**
   * Writes a list with the desired count to `$.described.desired`. Undefined: the kind has no count.
   * @returns the only state
   */
  checkCount?(scope: Construct, id: string): State;
  /**
   * Restores `$.savedState.value.current` and waits until the service is steady. Sets `$.counted.set` when the count or the
   * state is restored, and does not restore it if it is already set. The role of the state machine gets no permission from
   * these states: see `restoreRights`.
   * @returns the first state
   */
  start(scope: Construct, next: AfterStart): State;
  /** States that follow the start, also after a time-out. Undefined: none. @returns the first state */
  afterStart?(scope: Construct, next: Pick<AfterStart, 'steady' | 'failed'>): State;
  /** Gives a service that runs the revision in `$.service.revision`. Undefined: the kind has no revisions. @returns the first state */
  updateRevision?(scope: Construct, next: AfterUpdate): State;
  /** The permissions to set a revision, in addition to those of the calls. */
  readonly revisionRights?: PolicyStatement[];
  /** The permissions that `start` and `afterStart` need, by what they are for: a resource, or all services of the kind. */
  restoreRights(scope: Construct): Record<string, PolicyStatement[]>;
}

export interface AfterCheck {
  /** Reads the state to restore from `$.current`. */
  usable: IChainable;
  /** Reads the reason from `$.refusal.reason`. */
  refused: IChainable;
  /** The service cannot be read. Reads the error from `$.failure`. */
  failed: IChainable;
}

export interface AfterStop {
  stopped: IChainable;
  /** The deadline has passed. */
  late: IChainable;
  /** Someone else has started the service again. */
  startedByOthers: IChainable;
  /** The service cannot be stopped. Reads the error from `$.failure`. */
  failed: IChainable;
}

export interface AfterStart {
  steady: IChainable;
  /** The deadline has passed. */
  late: IChainable;
  /** The service cannot be started. Reads the error from `$.failure`. */
  failed: IChainable;
}

export interface AfterUpdate {
  updated: IChainable;
  /** The deadline has passed. */
  late: IChainable;
  /** The service did not get the revision. Reads the error from `$.failure`. */
  failed: IChainable;
  /** The input names no revision for the service. */
  unchanged: IChainable;
}

/**
 * The last round of checks, counted from 0 in `$.round`. All services are checked again if one of them was waited for. In the
 * last round none is waited for: then all of them were ready at the same time.
 */
export const LAST_ROUND = 2;

/** The deadlines as numbers of checks. */
export interface WaitLimits {
  /** Checks of a service that is in the middle of a deployment. 0: it is refused at once. */
  deploymentChecks: number;
  /** Pause between two of these checks. */
  deploymentPollSeconds: number;
  stopChecks: number;
  startChecks: number;
  /** How many checks in a row must find a service steady. */
  steadyChecks: number;
  /** Pause between two checks. */
  pollSeconds: number;
  /** Pause between two checks of a service that starts. */
  startPollSeconds: number;
}

/**
 * Records why a service cannot be stopped.
 * @param waits only in a rehearsal: a deploy waits until it can be stopped
 */
export function refusal(scope: Construct, id: string, reason: string, waits = false): Pass {
  return new Pass(scope, id, { parameters: { reason, waits }, resultPath: '$.refusal' });
}
