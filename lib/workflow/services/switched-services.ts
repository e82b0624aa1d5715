import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  type Pass,
  type State,
  type TaskStateBase,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Service } from '../../config/services-config.ts';
import { catchAll } from '../retry-and-catch.ts';
import type { SwitchNames, WaitNames } from '../state-names.ts';
import { waitUntil } from '../wait-until.ts';
import {
  type AfterCheck,
  type AfterStart,
  type AfterStop,
  refusal,
  type ServiceKind,
  type WaitLimits,
} from './service-kind.ts';

/** What differs between the kinds of services that are enabled and disabled. */
export interface Switch {
  names: SwitchNames;
  /** The two states, as the API names them. */
  on: string;
  off: string;
  /** The error of an API call if the service does not exist. */
  missingError: string;
  /** The reason for a refusal if the service does not exist. */
  missing: string;
  /** The reason for a refusal if the service is in any other state. */
  otherState: string;
  /** Writes the current state to `state` below `path`. */
  describe(scope: Construct, id: string, props: { path: string } & Rights): TaskStateBase;
}

export interface Rights {
  /** The role of the state machine gets the permission elsewhere: see `ServiceKind.restoreRights`. */
  granted: boolean;
}

interface Goal extends Rights {
  names: WaitNames;
  state: string;
  checks: number;
  pollSeconds: number;
  onReached: IChainable;
  onLate: IChainable;
  /** An error of a check. */
  onError: IChainable;
}

export interface AfterTurn {
  /** The service gets the state. */
  turned: IChainable;
  /** The service needs no change. */
  unchanged: IChainable;
  /** Reads the error from `$.failure`. */
  failed: IChainable;
}

/** A single call that sets the state. */
export function turnBy(call: TaskStateBase, { turned, failed }: AfterTurn): State {
  catchAll(call, failed, '$.failure');
  call.next(turned);
  return call;
}

/** A kind of service that is enabled and disabled. `$.current` holds `state`: a disabled service stays disabled. */
export abstract class SwitchedServices implements ServiceKind {
  abstract readonly kind: Service['kind'];
  abstract readonly isUsed: boolean;
  protected abstract readonly switch: Switch;
  /** Whether `$.service` names a service of this kind. */
  protected abstract readonly identity: Condition;
  readonly #limits: WaitLimits;

  constructor(limits: WaitLimits) {
    this.#limits = limits;
  }

  check(scope: Construct, { usable, refused, failed }: AfterCheck): State {
    const { names, on, off, missing, missingError } = this.switch;
    const notFound = refusal(scope, names.notFound, missing);
    const otherState = refusal(scope, names.otherState, this.switch.otherState);
    for (const reason of [notFound, otherState]) reason.next(refused);
    const describe = this.describeToCheck(scope, { errors: [missingError], next: notFound }, failed);
    const isUsable = new Choice(scope, names.isUsable);
    for (const { when, reason } of this.otherRefusals(scope)) {
      isUsable.when(when, reason);
      reason.next(refused);
    }
    describe.next(
      isUsable
        .when(Condition.stringEquals('$.current.state', on), usable)
        .when(Condition.stringEquals('$.current.state', off), usable)
        .otherwise(otherState),
    );
    return describe;
  }

  /**
   * Writes the state to `$.current.state`, and continues with `missing` after its errors.
   * @param failed continues with other errors
   */
  protected describeToCheck(
    scope: Construct,
    missing: { errors: string[]; next: IChainable },
    failed: IChainable,
  ): TaskStateBase {
    const { names } = this.switch;
    const describe = this.switch.describe(scope, names.describe, { path: '$.current', granted: false });
    describe.addCatch(missing.next, { errors: missing.errors, resultPath: JsonPath.DISCARD });
    catchAll(describe, failed, '$.failure');
    return describe;
  }

  /** Further reasons for a refusal. @default none */
  protected otherRefusals(_scope: Construct): { when: Condition; reason: Pass }[] {
    return [];
  }

  stop(scope: Construct, { stopped, late, failed }: AfterStop): State {
    const { names, off } = this.switch;
    const waiting = this.#waitFor(scope, {
      names: names.disabled,
      state: off,
      checks: this.#limits.stopChecks,
      pollSeconds: this.#limits.pollSeconds,
      granted: false,
      onReached: stopped,
      onLate: late,
      onError: failed,
    });
    return this.turn(scope, { on: false, granted: false }, { turned: waiting, unchanged: stopped, failed });
  }

  get canBeStarted(): Condition {
    return Condition.and(
      this.identity,
      Condition.isPresent('$.savedState.value.current.state'),
      Condition.isString('$.savedState.value.current.state'),
    );
  }

  start(scope: Construct, { steady, late, failed }: AfterStart): State {
    const { names, on } = this.switch;
    const waiting = this.#waitFor(scope, {
      names: names.enabled,
      state: on,
      checks: this.#limits.startChecks,
      pollSeconds: this.#limits.startPollSeconds,
      granted: true,
      onReached: steady,
      onLate: late,
      onError: failed,
    });
    const enable = this.turn(
      scope,
      { on: true, granted: true },
      { turned: waiting, unchanged: steady, failed },
    );
    return new Choice(scope, names.wasEnabled)
      .when(Condition.stringEquals('$.savedState.value.current.state', on), enable)
      .otherwise(steady);
  }

  /** The states that enable or disable the service. @returns the first state */
  protected abstract turn(scope: Construct, props: { on: boolean } & Rights, after: AfterTurn): State;

  abstract restoreRights(scope: Construct): Record<string, PolicyStatement[]>;

  #waitFor(scope: Construct, { state, granted, onError, ...goal }: Goal): State {
    const check = this.switch.describe(scope, goal.names.check, { path: '$.switch', granted });
    catchAll(check, onError, '$.failure');
    return waitUntil(scope, {
      ...goal,
      check,
      reached: Condition.stringEquals('$.switch.state', state),
    });
  }
}
