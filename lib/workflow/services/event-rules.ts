import { Stack } from 'aws-cdk-lib';
import { JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { EventRule } from '../../config/services-config.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';
import { RULE } from '../state-names.ts';
import type { WaitLimits } from './service-kind.ts';
import { type Switch, SwitchedServices } from './switched-services.ts';

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

  protected readonly switch: Switch = {
    names: RULE,
    on: 'ENABLED',
    off: 'DISABLED',
    missingError: 'EventBridge.ResourceNotFoundException',
    missing: 'the EventBridge rule does not exist: check "rule" and "eventBus" of its entry in cdk.json',
    otherState:
      'its state is neither ENABLED nor DISABLED, and EnableRule could not restore that state: remove it from the configuration',
    describe: (scope, id, path) =>
      this.#call(scope, id, { action: 'describeRule', result: { path, selector: { 'state.$': '$.State' } } }),
    turn: (scope, id, on) => this.#call(scope, id, { action: on ? 'enableRule' : 'disableRule' }),
  };

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
