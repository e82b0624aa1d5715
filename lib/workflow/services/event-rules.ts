import { Stack } from 'aws-cdk-lib';
import { JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { EventRule } from '../../config/environment-config.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';
import { RULE } from '../state-names.ts';
import type { Patience } from './service-kind.ts';
import { type Switch, Switched } from './switched-services.ts';

/** EventBridge rules, by which scheduled and event-driven work is kept away. */
export class EventRules extends Switched {
  readonly kind = 'event-rule';
  readonly #rules: readonly EventRule[];

  constructor(rules: readonly EventRule[], patience: Patience) {
    super(patience);
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
    missing: 'there is no such EventBridge rule: check "rule" and "eventBus"',
    third:
      'its state is neither ENABLED nor DISABLED, and EnableRule could not bring that back: leave it out',
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
