import { ArnFormat, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Condition, JsonPath, type State, type TaskStateBase } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { type EventSourceMapping, resourceKey } from '../../config/services-config.ts';
import { type AwsCall, awsCall } from '../aws-call.ts';
import { MAPPING } from '../state-names.ts';
import type { WaitLimits } from './service-kind.ts';
import { type AfterTurn, type Rights, type Switch, SwitchedServices, turnBy } from './switched-services.ts';

/**
 * Lambda functions that consume a queue or a stream. They are stopped by disabling the event source mapping, because a
 * reserved concurrency of 0 would send valid messages to the dead-letter queue.
 */
export class EventSourceMappings extends SwitchedServices {
  readonly kind = 'event-source-mapping';
  readonly #mappings: readonly EventSourceMapping[];

  constructor(mappings: readonly EventSourceMapping[], limits: WaitLimits) {
    super(limits);
    this.#mappings = mappings;
  }

  get isUsed(): boolean {
    return this.#mappings.length > 0;
  }

  protected readonly identity = Condition.isString('$.service.uuid');

  protected readonly switch: Switch = {
    names: MAPPING,
    on: 'Enabled',
    off: 'Disabled',
    missingError: 'Lambda.ResourceNotFoundException',
    missing: 'the event source mapping does not exist: check "uuid" of its entry in cdk.json',
    otherState:
      'its state is neither Enabled nor Disabled: wait until its change is complete, then deploy again',
    describe: (scope, id, { path, ...rights }) =>
      this.#call(scope, id, {
        action: 'getEventSourceMapping',
        parameters: { Uuid: JsonPath.stringAt('$.service.uuid') },
        result: { path, selector: { 'state.$': '$.State' } },
        ...rights,
      }),
  };

  protected turn(scope: Construct, { on, granted }: { on: boolean } & Rights, after: AfterTurn): State {
    const update = this.#call(scope, on ? MAPPING.enable : MAPPING.disable, {
      action: 'updateEventSourceMapping',
      parameters: { Uuid: JsonPath.stringAt('$.service.uuid'), Enabled: on },
      granted,
    });
    return turnBy(update, after);
  }

  restoreRights(scope: Construct): Record<string, PolicyStatement[]> {
    return Object.fromEntries(
      this.#mappings.map((mapping) => [
        resourceKey(mapping),
        [
          new PolicyStatement({
            actions: ['lambda:GetEventSourceMapping', 'lambda:UpdateEventSourceMapping'],
            resources: [arnOf(scope, mapping)],
          }),
        ],
      ]),
    );
  }

  #call(
    scope: Construct,
    id: string,
    { granted, ...call }: Pick<AwsCall, 'action' | 'parameters' | 'result'> & { granted: boolean },
  ): TaskStateBase {
    return awsCall(scope, id, {
      api: 'lambda',
      ...(granted ? {} : { iamResources: this.#mappings.map((mapping) => arnOf(scope, mapping)) }),
      ...call,
    });
  }
}

function arnOf(scope: Construct, { uuid }: EventSourceMapping): string {
  return Stack.of(scope).formatArn({
    service: 'lambda',
    resource: 'event-source-mapping',
    resourceName: uuid,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
