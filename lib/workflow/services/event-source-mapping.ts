import { ArnFormat, Stack } from 'aws-cdk-lib';
import { Choice, Condition, type IChainable, JsonPath, type State } from 'aws-cdk-lib/aws-stepfunctions';
import type { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { EventSourceMapping } from '../../config/environment.ts';
import { type AwsCall, awsCall } from './aws-call.ts';
import type { Patience, ServiceKind } from './kind.ts';
import { refusal } from './refusal.ts';
import { waitUntil } from './wait-until.ts';

const ENABLED = 'Enabled';
const DISABLED = 'Disabled';

/**
 * Lambda functions that consume a queue or a stream, by their event source mapping: a reserved concurrency of 0 would send
 * good messages to the dead-letter queue. `current` holds `state`.
 */
export class EventSourceMappings implements ServiceKind {
  readonly kind = 'event-source-mapping';
  readonly noun = 'event source mapping';
  readonly #mappings: readonly EventSourceMapping[];
  readonly #patience: Patience;

  constructor(mappings: readonly EventSourceMapping[], patience: Patience) {
    this.#mappings = mappings;
    this.#patience = patience;
  }

  get isUsed(): boolean {
    return this.#mappings.length > 0;
  }

  check(scope: Construct, { usable, refused }: { usable: IChainable; refused: IChainable }): State {
    const describe = this.#describe(scope, 'Describe Mapping', '$.current');
    const notFound = refusal(
      scope,
      'Mapping Not Found',
      'there is no such event source mapping: check "uuid"',
    );
    const changing = refusal(
      scope,
      'Mapping Is Changing',
      'its state is neither Enabled nor Disabled: somebody is changing it, so deploy again when they are done',
    );
    for (const reason of [notFound, changing]) reason.next(refused);
    describe.addCatch(notFound, {
      errors: ['Lambda.ResourceNotFoundException'],
      resultPath: JsonPath.DISCARD,
    });
    describe.next(
      new Choice(scope, 'Mapping Usable?')
        .when(Condition.stringEquals('$.current.state', ENABLED), usable)
        .when(Condition.stringEquals('$.current.state', DISABLED), usable)
        .otherwise(changing),
    );
    return describe;
  }

  stop(scope: Construct, { stopped, late }: { stopped: IChainable; late: IChainable }): State {
    const disable = this.#update(scope, 'Disable Mapping', false);
    disable.next(this.#wait(scope, 'Mapping Disabled', DISABLED, this.#patience.stopLooks, stopped, late));
    return disable;
  }

  start(scope: Construct, { steady, late }: { steady: IChainable; late: IChainable }): State {
    const enable = this.#update(scope, 'Enable Mapping', true);
    enable.next(this.#wait(scope, 'Mapping Enabled', ENABLED, this.#patience.startLooks, steady, late));
    return new Choice(scope, 'Was Mapping Enabled?')
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
      action: 'getEventSourceMapping',
      parameters: { Uuid: JsonPath.stringAt('$.service.uuid') },
      result: { path, selector: { 'state.$': '$.State' } },
    });
  }

  #update(scope: Construct, id: string, enabled: boolean): CallAwsService {
    return this.#call(scope, id, {
      action: 'updateEventSourceMapping',
      parameters: { Uuid: JsonPath.stringAt('$.service.uuid'), Enabled: enabled },
    });
  }

  #call(
    scope: Construct,
    id: string,
    call: Pick<AwsCall, 'action' | 'parameters' | 'result'>,
  ): CallAwsService {
    return awsCall(scope, id, {
      api: 'lambda',
      iamResources: this.#mappings.map(({ uuid }) =>
        Stack.of(scope).formatArn({
          service: 'lambda',
          resource: 'event-source-mapping',
          resourceName: uuid,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ),
      ...call,
    });
  }
}
