import { Stack } from 'aws-cdk-lib';
import { Choice, Condition, type IChainable, JsonPath, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { EventRule } from '../../config/environment.ts';
import { type AwsCall, awsCall } from './aws-call.ts';
import type { Patience, ServiceKind } from './kind.ts';
import { refusal } from './refusal.ts';
import { waitUntil } from './wait-until.ts';

const ENABLED = 'ENABLED';
const DISABLED = 'DISABLED';

/** EventBridge rules, by which scheduled and event-driven work is kept away. `current` holds `state`. */
export class EventRules implements ServiceKind {
  readonly kind = 'event-rule';
  readonly noun = 'EventBridge rule';
  readonly #rules: readonly EventRule[];
  readonly #patience: Patience;

  constructor(rules: readonly EventRule[], patience: Patience) {
    this.#rules = rules;
    this.#patience = patience;
  }

  get isUsed(): boolean {
    return this.#rules.length > 0;
  }

  check(scope: Construct, { usable, refused }: { usable: IChainable; refused: IChainable }): State {
    const describe = this.#describe(scope, 'Describe Rule', '$.current');
    const notFound = refusal(
      scope,
      'Rule Not Found',
      'there is no such EventBridge rule: check "rule" and "eventBus"',
    );
    const special = refusal(
      scope,
      'Rule Cannot Be Restored',
      'its state is neither ENABLED nor DISABLED, and EnableRule could not bring that back: leave it out',
    );
    for (const reason of [notFound, special]) reason.next(refused);
    describe.addCatch(notFound, {
      errors: ['EventBridge.ResourceNotFoundException'],
      resultPath: JsonPath.DISCARD,
    });
    describe.next(
      new Choice(scope, 'Rule Usable?')
        .when(Condition.stringEquals('$.current.state', ENABLED), usable)
        .when(Condition.stringEquals('$.current.state', DISABLED), usable)
        .otherwise(special),
    );
    return describe;
  }

  stop(scope: Construct, { stopped, late }: { stopped: IChainable; late: IChainable }): State {
    const disable = this.#call(scope, 'Disable Rule', { action: 'disableRule' });
    disable.next(this.#wait(scope, 'Rule Disabled', DISABLED, this.#patience.stopLooks, stopped, late));
    return disable;
  }

  start(scope: Construct, { steady, late }: { steady: IChainable; late: IChainable }): State {
    const enable = this.#call(scope, 'Enable Rule', { action: 'enableRule' });
    enable.next(this.#wait(scope, 'Rule Enabled', ENABLED, this.#patience.startLooks, steady, late));
    return new Choice(scope, 'Was Rule Enabled?')
      .when(Condition.stringEquals('$.memory.value.current.state', ENABLED), enable)
      .otherwise(steady);
  }

  #wait(
    scope: Construct,
    goal: string,
    state: string,
    looks: number,
    onReached: IChainable,
    onLate: IChainable,
  ): State {
    return waitUntil(scope, {
      goal,
      look: this.#describe(scope, `Look Whether ${goal}`, '$.seen'),
      reached: Condition.stringEquals('$.seen.state', state),
      looks,
      pollSeconds: this.#patience.pollSeconds,
      onReached,
      onLate,
    });
  }

  #describe(scope: Construct, id: string, path: string): CallAwsService {
    return this.#call(scope, id, {
      action: 'describeRule',
      result: { path, selector: { 'state.$': '$.State' } },
    });
  }

  #call(scope: Construct, id: string, call: Pick<AwsCall, 'action' | 'result'>): CallAwsService {
    return awsCall(scope, id, {
      api: 'eventbridge',
      iamResources: this.#rules.map(({ rule, eventBus }) =>
        Stack.of(scope).formatArn({
          service: 'events',
          resource: 'rule',
          resourceName: eventBus === 'default' ? rule : `${eventBus}/${rule}`,
        }),
      ),
      parameters: {
        Name: JsonPath.stringAt('$.service.rule'),
        EventBusName: JsonPath.stringAt('$.service.eventBus'),
      },
      ...call,
    });
  }
}
