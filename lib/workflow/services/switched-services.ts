import { Choice, Condition, type IChainable, JsonPath, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { Service } from '../../config/environment-config.ts';
import type { SwitchNames, WaitNames } from '../state-names.ts';
import { refusal } from './refusal.ts';
import type { Patience, ServiceKind } from './service-kind.ts';
import { waitUntil } from './wait-until.ts';

/** What is particular to one kind of service that is switched on and off. */
export interface Switch {
  names: SwitchNames;
  /** Its two states, as its API names them. */
  on: string;
  off: string;
  /** The error of an API call for one that does not exist. */
  missingError: string;
  /** Why one that does not exist is refused. */
  missing: string;
  /** Why one in a third state is refused. */
  third: string;
  /** Asks for its state, into `path`. */
  describe(scope: Construct, id: string, path: string): CallAwsService;
  turn(scope: Construct, id: string, on: boolean): CallAwsService;
}

/** A kind of service that is on or off. `current` holds `state`: one that was off stays off. */
export abstract class Switched implements ServiceKind {
  abstract readonly kind: Service['kind'];
  abstract readonly isUsed: boolean;
  protected abstract readonly switch: Switch;
  readonly #patience: Patience;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  check(scope: Construct, { usable, refused }: { usable: IChainable; refused: IChainable }): State {
    const { names, on, off, third, missing, missingError } = this.switch;
    const describe = this.switch.describe(scope, names.describe, '$.current');
    const notFound = refusal(scope, names.notFound, missing);
    const neither = refusal(scope, names.otherState, third);
    for (const reason of [notFound, neither]) reason.next(refused);
    describe.addCatch(notFound, { errors: [missingError], resultPath: JsonPath.DISCARD });
    describe.next(
      new Choice(scope, names.isUsable)
        .when(Condition.stringEquals('$.current.state', on), usable)
        .when(Condition.stringEquals('$.current.state', off), usable)
        .otherwise(neither),
    );
    return describe;
  }

  stop(scope: Construct, { stopped, late }: { stopped: IChainable; late: IChainable }): State {
    const { names, off } = this.switch;
    const disable = this.switch.turn(scope, names.disable, false);
    disable.next(this.#wait(scope, names.disabled, off, this.#patience.stopLooks, stopped, late));
    return disable;
  }

  start(scope: Construct, { steady, late }: { steady: IChainable; late: IChainable }): State {
    const { names, on } = this.switch;
    const enable = this.switch.turn(scope, names.enable, true);
    enable.next(this.#wait(scope, names.enabled, on, this.#patience.startLooks, steady, late));
    return new Choice(scope, names.wasEnabled)
      .when(Condition.stringEquals('$.memory.value.current.state', on), enable)
      .otherwise(steady);
  }

  #wait(
    scope: Construct,
    names: WaitNames,
    state: string,
    looks: number,
    onReached: IChainable,
    onLate: IChainable,
  ): State {
    return waitUntil(scope, {
      names,
      look: this.switch.describe(scope, names.check, '$.seen'),
      reached: Condition.stringEquals('$.seen.state', state),
      looks,
      pollSeconds: this.#patience.pollSeconds,
      onReached,
      onLate,
    });
  }
}
