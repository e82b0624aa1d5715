import { Choice, Condition, type IChainable, JsonPath, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { Service } from '../../config/services-config.ts';
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
  describe(scope: Construct, id: string, path: string): CallAwsService;
  turn(scope: Construct, id: string, on: boolean): CallAwsService;
}

interface Goal {
  names: WaitNames;
  state: string;
  checks: number;
  onReached: IChainable;
  onLate: IChainable;
}

/** A kind of service that is enabled and disabled. `$.current` holds `state`: a disabled service stays disabled. */
export abstract class SwitchedServices implements ServiceKind {
  abstract readonly kind: Service['kind'];
  abstract readonly isUsed: boolean;
  protected abstract readonly switch: Switch;
  readonly #limits: WaitLimits;

  constructor(limits: WaitLimits) {
    this.#limits = limits;
  }

  check(scope: Construct, { usable, refused }: AfterCheck): State {
    const { names, on, off, missing, missingError } = this.switch;
    const describe = this.switch.describe(scope, names.describe, '$.current');
    const notFound = refusal(scope, names.notFound, missing);
    const otherState = refusal(scope, names.otherState, this.switch.otherState);
    for (const reason of [notFound, otherState]) reason.next(refused);
    describe.addCatch(notFound, { errors: [missingError], resultPath: JsonPath.DISCARD });
    describe.next(
      new Choice(scope, names.isUsable)
        .when(Condition.stringEquals('$.current.state', on), usable)
        .when(Condition.stringEquals('$.current.state', off), usable)
        .otherwise(otherState),
    );
    return describe;
  }

  stop(scope: Construct, { stopped, late }: AfterStop): State {
    const { names, off } = this.switch;
    const disable = this.switch.turn(scope, names.disable, false);
    disable.next(
      this.#waitFor(scope, {
        names: names.disabled,
        state: off,
        checks: this.#limits.stopChecks,
        onReached: stopped,
        onLate: late,
      }),
    );
    return disable;
  }

  start(scope: Construct, { steady, late }: AfterStart): State {
    const { names, on } = this.switch;
    const enable = this.switch.turn(scope, names.enable, true);
    enable.next(
      this.#waitFor(scope, {
        names: names.enabled,
        state: on,
        checks: this.#limits.startChecks,
        onReached: steady,
        onLate: late,
      }),
    );
    return new Choice(scope, names.wasEnabled)
      .when(Condition.stringEquals('$.savedState.value.current.state', on), enable)
      .otherwise(steady);
  }

  #waitFor(scope: Construct, { state, ...goal }: Goal): State {
    return waitUntil(scope, {
      ...goal,
      check: this.switch.describe(scope, goal.names.check, '$.switch'),
      reached: Condition.stringEquals('$.switch.state', state),
      pollSeconds: this.#limits.pollSeconds,
    });
  }
}
