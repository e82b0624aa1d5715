import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Condition, JsonPath, type State, type TaskStateBase } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { type EventRule, resourceKey } from '../../config/services-config.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';
import { RULE } from '../state-names.ts';
import type { WaitLimits } from './service-kind.ts';
import { type AfterTurn, type Rights, type Switch, SwitchedServices, turnBy } from './switched-services.ts';

/** EventBridge rules. A disabled rule starts no scheduled or event-driven work. */
export class EventRules extends SwitchedServices {
  readonly kind = 'event-rule';
  readonly #rules: readonly EventRule[];

  constructor(rules: readonly EventRule[], limits: WaitLimits) {
    super(limits);
    this.#rules = rules;
  }

  get isUsed(): boolean {
    return this.#rules.length > 0;
  }

  protected readonly identity = Condition.and(
    Condition.isString('$.service.rule'),
    Condition.isString('$.service.eventBus'),
  );

  protected readonly switch: Switch = {
    names: RULE,
    on: 'ENABLED',
    off: 'DISABLED',
    missingError: 'EventBridge.ResourceNotFoundException',
    missing: 'the EventBridge rule does not exist: check "rule" and "eventBus" of its entry in cdk.json',
    otherState:
      'its state is neither ENABLED nor DISABLED, and EnableRule could not restore that state: remove it from the configuration',
    describe: (scope, id, { path, ...rights }) =>
      this.#call(scope, id, {
        action: 'describeRule',
        result: { path, selector: { 'state.$': '$.State' } },
        ...rights,
      }),
  };

  protected turn(scope: Construct, { on, granted }: { on: boolean } & Rights, after: AfterTurn): State {
    const action = on ? 'enableRule' : 'disableRule';
    return turnBy(this.#call(scope, on ? RULE.enable : RULE.disable, { action, granted }), after);
  }

  restoreRights(scope: Construct): Record<string, PolicyStatement[]> {
    return Object.fromEntries(
      this.#rules.map((rule) => [
        resourceKey(rule),
        [
          new PolicyStatement({
            actions: ['events:DescribeRule', 'events:EnableRule'],
            resources: [arnOf(scope, rule)],
          }),
        ],
      ]),
    );
  }

  #call(
    scope: Construct,
    id: string,
    { granted, ...call }: Pick<AwsCall, 'action' | 'result'> & { granted: boolean },
  ): TaskStateBase {
    return awsCall(scope, id, {
      api: 'eventbridge',
      ...(granted ? {} : { iamResources: this.#rules.map((rule) => arnOf(scope, rule)) }),
      parameters: {
        Name: JsonPath.stringAt('$.service.rule'),
        EventBusName: JsonPath.stringAt('$.service.eventBus'),
      },
      ...call,
    });
  }
}

function arnOf(scope: Construct, { rule, eventBus }: EventRule): string {
  return Stack.of(scope).formatArn({
    service: 'events',
    resource: 'rule',
    resourceName: eventBus === 'default' ? rule : `${eventBus}/${rule}`,
  });
}
