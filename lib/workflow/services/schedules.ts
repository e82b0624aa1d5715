import { Aws, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  type State,
  type TaskStateBase,
  Timeout,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { resourceKey, type Schedule } from '../../config/services-config.ts';
import { awsCall } from '../aws-call.ts';
import { catchAllJsonata, catchNamed, JsonataTask, jsonata } from '../jsonata-task.ts';
import { apiRetry } from '../retry-and-catch.ts';
import { SCHEDULE } from '../state-names.ts';
import { refusal, type WaitLimits } from './service-kind.ts';
import { type AfterTurn, type Rights, type Switch, SwitchedServices } from './switched-services.ts';

/** The fields that UpdateSchedule accepts and GetSchedule returns. UpdateSchedule resets those that it does not get. */
const UPDATED = [
  'ActionAfterCompletion',
  'Description',
  'EndDate',
  'FlexibleTimeWindow',
  'GroupName',
  'KmsKeyArn',
  'Name',
  'ScheduleExpression',
  'ScheduleExpressionTimezone',
  'StartDate',
  'State',
  'Target',
];
/** The fields of a response that are no part of the schedule. */
const READ_ONLY = ['Arn', 'CreationDate', 'LastModificationDate', 'SdkHttpMetadata', 'SdkResponseMetadata'];

const FOUND = '$states.result';
const listed = (names: readonly string[]) => JSON.stringify(names).replaceAll('"', "'");
// `and` and `or` may evaluate both sides, `?` does not.
const isPast = (date: string) => `($type(${date}) = 'string' ? $toMillis(${date}) < $millis() : false)`;
/** A schedule that has ended runs nothing any more. There is nothing to stop, and nothing to restore. */
const HAS_ENDED = isPast(`${FOUND}.EndDate`);
const STATE = `(${HAS_ENDED} ? 'DISABLED' : ${FOUND}.State)`;
/** What UpdateSchedule needs to keep the schedule as it is. */
const REQUEST = `$sift(${FOUND}, function($value, $field) { $field in ${listed(UPDATED)} and $value != null })`;
const UNKNOWN = `[$filter($keys(${FOUND}), function($field) { $not($field in ${listed([...UPDATED, ...READ_ONLY])}) })]`;

const isDisabled = (path: string) => Condition.stringEquals(path, 'DISABLED');

/**
 * Schedules of EventBridge Scheduler. UpdateSchedule replaces the whole schedule, so each change reads it first and sends all
 * of it back, with another state. So the restore keeps what someone has changed in the meantime.
 */
export class Schedules extends SwitchedServices {
  readonly kind = 'schedule';
  readonly #schedules: readonly Schedule[];

  constructor(schedules: readonly Schedule[], limits: WaitLimits) {
    super(limits);
    this.#schedules = schedules;
  }

  get isUsed(): boolean {
    return this.#schedules.length > 0;
  }

  protected readonly identity = Condition.and(
    Condition.isPresent('$.service.schedule'),
    Condition.isPresent('$.service.group'),
    Condition.isString('$.service.schedule'),
    Condition.isString('$.service.group'),
  );

  protected readonly switch: Switch = {
    names: SCHEDULE,
    on: 'ENABLED',
    off: 'DISABLED',
    missingError: 'Scheduler.ResourceNotFoundException',
    missing: 'the schedule does not exist: check "schedule" and "group" of its entry in cdk.json',
    otherState: 'its state is neither ENABLED nor DISABLED: remove it from the configuration',
    describe: (scope, id, { path, granted }) =>
      awsCall(scope, id, {
        api: 'scheduler',
        action: 'getSchedule',
        ...(granted ? {} : { iamResources: this.#arns(scope) }),
        parameters: {
          GroupName: JsonPath.stringAt('$.service.group'),
          Name: JsonPath.stringAt('$.service.schedule'),
        },
        result: { path, selector: { 'state.$': '$.State' } },
      }),
  };

  protected override describeToCheck(
    scope: Construct,
    missing: { errors: string[]; next: IChainable },
    failed: IChainable,
  ): TaskStateBase {
    const describe = this.#read(scope, SCHEDULE.describe, {
      adds: `{'current': {'state': ${STATE}}, 'found': {'expression': ${FOUND}.ScheduleExpression, 'role': ${FOUND}.Target.RoleArn, 'key': ${FOUND}.KmsKeyArn ? ${FOUND}.KmsKeyArn : '', 'unknown': ${UNKNOWN}}}`,
      granted: false,
    });
    catchNamed(describe, missing.errors, missing.next);
    catchAllJsonata(describe, failed);
    return describe;
  }

  protected override otherRefusals(scope: Construct): { when: Condition; reason: Pass }[] {
    const differs = (field: 'role' | 'key') =>
      Condition.not(Condition.stringEqualsJsonPath(`$.found.${field}`, `$.service.${field}`));
    const reason = (id: string, text: string) =>
      new Pass(scope, id, { parameters: { 'reason.$': text, waits: false }, resultPath: '$.refusal' });
    return [
      {
        when: Condition.stringMatches('$.found.expression', 'at(*'),
        reason: refusal(
          scope,
          SCHEDULE.runsOnce,
          'it runs only once ("at"), and a run at a time when it is disabled would be lost: remove it from the configuration',
        ),
      },
      {
        when: differs('role'),
        reason: reason(
          SCHEDULE.otherRole,
          'States.Format(\'the role of its target is {}, but "role" of its entry is {}: set "role" to the role of its target\', $.found.role, $.service.role)',
        ),
      },
      {
        when: differs('key'),
        reason: reason(
          SCHEDULE.otherKey,
          'States.Format(\'its KMS key is "{}", but "key" of its entry is "{}": set "key" to its KMS key\', $.found.key, $.service.key)',
        ),
      },
      {
        when: Condition.isPresent('$.found.unknown[0]'),
        reason: reason(
          SCHEDULE.unknownFields,
          "States.Format('it has fields that this version of pg-deploy-step does not know, and UpdateSchedule would reset them: {}. Install a newer version, or remove the schedule from the configuration', States.JsonToString($.found.unknown))",
        ),
      },
    ];
  }

  protected turn(
    scope: Construct,
    { on, granted }: { on: boolean } & Rights,
    { turned, unchanged, failed }: AfterTurn,
  ): State {
    const read = this.#read(scope, on ? SCHEDULE.readToEnable : SCHEDULE.readToDisable, {
      adds: `{'found': {'state': ${STATE}, 'hasEnded': ${HAS_ENDED}, 'request': ${REQUEST}}}`,
      granted,
    });
    catchAllJsonata(read, failed);
    const update = (id: string, request: string) =>
      this.#task(scope, id, {
        action: 'updateSchedule',
        arguments: jsonata(`$merge([${request}, {'State': '${on ? 'ENABLED' : 'DISABLED'}'}])`),
        policies: granted ? [] : this.#schedules.flatMap((schedule) => mayUpdate(scope, schedule)),
      });
    const request = '$states.input.found.request';
    const change = update(on ? SCHEDULE.enable : SCHEDULE.disable, request);
    // A start date that has passed has no effect any more, and Scheduler may refuse it.
    const withoutStart = update(
      on ? SCHEDULE.enableWithoutStart : SCHEDULE.disableWithoutStart,
      `$sift(${request}, function($value, $field) { $field = 'StartDate' ? $toMillis($value) > $millis() : true })`,
    );
    catchNamed(change, ['Scheduler.ValidationException'], withoutStart);
    for (const call of [change, withoutStart]) {
      catchAllJsonata(call, failed);
      call.next(turned);
    }
    // A read can be out of date. So a schedule is enabled whatever its state looks like, and disabled unless it was disabled at
    // the check too.
    const [id, isUnchanged] = on
      ? [SCHEDULE.hasEnded, Condition.booleanEquals('$.found.hasEnded', true)]
      : [SCHEDULE.wasDisabled, Condition.and(isDisabled('$.found.state'), isDisabled('$.current.state'))];
    read.next(new Choice(scope, id).when(isUnchanged, unchanged).otherwise(change));
    return read;
  }

  restoreRights(scope: Construct): Record<string, PolicyStatement[]> {
    return Object.fromEntries(
      this.#schedules.map((schedule) => [
        resourceKey(schedule),
        [
          new PolicyStatement({
            actions: ['scheduler:GetSchedule'],
            resources: [arnOf(scope, schedule)],
          }),
          ...mayUpdate(scope, schedule),
        ],
      ]),
    );
  }

  #read(scope: Construct, id: string, { adds, granted }: { adds: string } & Rights): JsonataTask {
    return this.#task(scope, id, {
      action: 'getSchedule',
      arguments: {
        GroupName: jsonata('$states.input.service.group'),
        Name: jsonata('$states.input.service.schedule'),
      },
      adds,
      policies: granted
        ? []
        : [new PolicyStatement({ actions: ['scheduler:GetSchedule'], resources: this.#arns(scope) })],
    });
  }

  #task(
    scope: Construct,
    id: string,
    {
      action,
      ...props
    }: { action: string } & Omit<ConstructorParameters<typeof JsonataTask>[2], 'resource' | 'taskTimeout'>,
  ): JsonataTask {
    const task = new JsonataTask(scope, id, {
      resource: `arn:${Aws.PARTITION}:states:::aws-sdk:scheduler:${action}`,
      taskTimeout: Timeout.duration(Duration.minutes(2)),
      ...props,
    });
    task.addRetry(apiRetry('scheduler'));
    return task;
  }

  #arns(scope: Construct): string[] {
    return this.#schedules.map((schedule) => arnOf(scope, schedule));
  }
}

function arnOf(scope: Construct, { group, schedule }: Schedule): string {
  return Stack.of(scope).formatArn({
    service: 'scheduler',
    resource: 'schedule',
    resourceName: `${group}/${schedule}`,
  });
}

/** A change of a schedule passes the role of its target again. */
function mayUpdate(scope: Construct, schedule: Schedule): PolicyStatement[] {
  return [
    new PolicyStatement({ actions: ['scheduler:UpdateSchedule'], resources: [arnOf(scope, schedule)] }),
    new PolicyStatement({
      actions: ['iam:PassRole'],
      resources: [schedule.role],
      conditions: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
    }),
    ...mayUseKey(scope, schedule),
  ];
}

/** Scheduler encrypts and decrypts the input of the target on behalf of the caller. */
function mayUseKey(scope: Construct, { key }: Schedule): PolicyStatement[] {
  if (key === undefined) return [];
  return [
    new PolicyStatement({
      actions: ['kms:DescribeKey', 'kms:GenerateDataKey', 'kms:Decrypt'],
      resources: [key],
      conditions: {
        StringEquals: { 'kms:ViaService': `scheduler.${Stack.of(scope).region}.amazonaws.com` },
      },
    }),
  ];
}
