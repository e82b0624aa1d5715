import { Duration } from 'aws-cdk-lib';
import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  Pass,
  type State,
  type TaskStateBase,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';

import { Construct } from 'constructs';
import type { PreflightLock } from '../../lambdas/shared/preflight-payloads.ts';
import type { ResourceNames } from '../config/resource-names.ts';
import { awsCall } from './aws-call.ts';
import { NULL } from './null-parameters.ts';
import { catchAll } from './retry-and-catch.ts';
import { PARAMETER_EXISTS, PARAMETER_MISSING, parameterArn } from './services/saved-state.ts';
import { executionsArn } from './start-execution.ts';
import { DEPLOY } from './state-names.ts';

export interface DeployLockProps {
  names: ResourceNames;
  /** Pause between two checks of the services. The checks of the lock have the same pause, but at most 5 s. */
  pollSeconds: number;
}

/** Name of the parameter that holds the lock. */
export function lockName({ parameters }: Pick<ResourceNames, 'parameters'>): string {
  return `${parameters}/deploy-lock`;
}

/**
 * Checks of an execution that has the lock, until the deploy is refused: DescribeExecution is eventually consistent, so one
 * that has ended can look as if it was running, and one that has just started as if it did not exist.
 */
const CHECKS = 3;
const LONGEST_PAUSE_SECONDS = 5;

/** The first value of `$.lockChecks`: how often the execution that holds the lock was checked, and which one it was. */
export const LOCK_CHECKS = { count: 1, execution: '' };

/** The value in `$.lock` has the version that its writer expected. */
const IS_VALID = Condition.numberEqualsJsonPath('$.lock.value.version', '$.lock.version');
const IS_OWN = Condition.stringEqualsJsonPath('$.lock.value.execution', '$$.Execution.Id');

const LOCK = DEPLOY.lock;
const RELEASE = DEPLOY.release;

/**
 * The lock that allows one deploy at a time. It is a parameter of Parameter Store with the ARN of the execution that holds
 * it, or with an empty ARN. Parameter Store has no conditional overwrite, but it counts the versions of a parameter. So each
 * value contains the version that its writer expects, one more than the version that the writer has read. A value is valid
 * if it got that version: of all executions that have read the same version, exactly one writes a valid value. The others
 * see that theirs is not valid, and read again. Whatever a reader finds, the last valid value is the lock.
 *
 * The lock is released by a write, never by a deletion: after a deletion, Parameter Store needs up to 30 seconds before a
 * parameter of that name can be created.
 */
export class DeployLock extends Construct {
  private readonly props: DeployLockProps;
  private readonly name: string;

  constructor(scope: Construct, id: string, props: DeployLockProps) {
    super(scope, id);
    this.props = props;
    this.name = lockName(props.names);
  }

  /**
   * Acquires the lock. The lock of an execution that has ended is taken over. A plan only reads which execution has it: it changes
   * nothing, and must not delay a deploy. Reads `$.input` and `$.lockChecks`, see LOCK_CHECKS, and writes a PreflightLock to `$.lock`.
   * @returns the first state
   */
  acquire(next: IChainable): State {
    const outcome = (id: string, lock: { status: PreflightLock['status'] } & Record<string, unknown>) => {
      const pass = new Pass(this, id, { parameters: lock, resultPath: '$.lock' });
      pass.next(next);
      return pass;
    };
    const held = outcome(LOCK.held, { status: 'held' });
    const refused = outcome(LOCK.heldByOther, { status: 'held-by-other', 'holder.$': '$.lock.value' });
    const failed = outcome(LOCK.failed, {
      status: 'failed',
      parameter: this.name,
      'error.$': '$.lockFailure',
    });
    const notNeeded = outcome(LOCK.notNeeded, { status: 'not-needed' });
    const unreadable = new Pass(this, LOCK.unreadable, {
      parameters: {
        Error: 'UnreadableLock',
        Cause: 'Its value is not a lock. If no deploy is running, delete the parameter.',
      },
      resultPath: '$.lockFailure',
    });
    unreadable.next(failed);

    const read = this.read(LOCK.read, this.name);
    const readBefore = this.read(LOCK.readBefore, this.versionBefore());
    const countCheck = new Pass(this, LOCK.count, {
      parameters: {
        count: JsonPath.mathAdd(JsonPath.numberAt('$.lockChecks.count'), 1),
        'execution.$': '$.lockChecks.execution',
      },
      resultPath: '$.lockChecks',
    });
    const wait = new Wait(this, LOCK.wait, {
      time: WaitTime.duration(Duration.seconds(Math.min(this.props.pollSeconds, LONGEST_PAUSE_SECONDS))),
    });
    wait.next(countCheck).next(read);

    const first = this.prepare(LOCK.prepareFirst, 1, false);
    const prepare = this.prepare(
      LOCK.prepare,
      JsonPath.mathAdd(JsonPath.numberAt('$.lock.version'), 1),
      true,
    );
    const write = this.write(LOCK.write, {
      overwrite: JsonPath.stringAt('$.lockWrite.overwrite'),
      value: '$.lockWrite.value',
      resultPath: '$.lockWritten',
    });
    // Another execution has created it in the meantime, or GetParameter does not show it yet.
    write.addCatch(wait, { errors: PARAMETER_EXISTS, resultPath: JsonPath.DISCARD });
    catchAll(write, failed, '$.lockFailure');
    const needed = new Choice(this, LOCK.needed)
      .when(
        Condition.and(Condition.isPresent('$.input.mode'), Condition.stringEquals('$.input.mode', 'plan')),
        notNeeded,
      )
      .otherwise(write);
    first.next(needed);
    write.next(
      new Choice(this, LOCK.taken)
        .when(Condition.numberEqualsJsonPath('$.lockWritten.version', '$.lockWrite.version'), held)
        // Another execution was faster. Or this one has written twice, because the response to the first call was lost.
        .otherwise(read),
    );

    read.addCatch(first, { errors: PARAMETER_MISSING, resultPath: JsonPath.DISCARD });
    for (const state of [read, readBefore]) catchAll(state, failed, '$.lockFailure');
    read.next(prepare);
    const whose = this.whose({
      free: needed,
      own: held,
      unreadable,
      readBefore,
      ended: needed,
      refused,
      wait,
      failed,
    });
    prepare.next(whose);
    readBefore.next(whose);

    return read;
  }

  /** Writes the version and the value of the next write to `$.lockWrite`. */
  private prepare(id: string, version: number | string, overwrite: boolean): Pass {
    return new Pass(this, id, {
      parameters: {
        version,
        overwrite,
        value: {
          'execution.$': '$$.Execution.Id',
          'deploy.$': '$$.Execution.Name',
          'startedAt.$': '$$.Execution.StartTime',
          version,
        },
      },
      resultPath: '$.lockWrite',
    });
  }

  /** Decides what the value in `$.lock` means. */
  private whose(next: {
    free: IChainable;
    own: IChainable;
    ended: IChainable;
    refused: IChainable;
    failed: IChainable;
    unreadable: IChainable;
    readBefore: IChainable;
    wait: IChainable;
  }): State {
    const describe = awsCall(this, LOCK.describeHolder, {
      api: 'sfn',
      action: 'describeExecution',
      iamResources: [executionsArn(this, this.props.names.machines.deploy)],
      parameters: { ExecutionArn: JsonPath.stringAt('$.lock.value.execution') },
      result: { path: '$.lockHolder', selector: { 'status.$': '$.Status' } },
    });
    // Step Functions deletes an execution 90 days after its end. But it may also have started a moment ago.
    const unknown = new Pass(this, LOCK.holderUnknown, {
      parameters: { status: 'UNKNOWN' },
      resultPath: '$.lockHolder',
    });
    describe.addCatch(unknown, {
      errors: ['Sfn.ExecutionDoesNotExistException'],
      resultPath: JsonPath.DISCARD,
    });
    catchAll(describe, next.failed, '$.lockFailure');
    const isStatus = (status: string) => Condition.stringEquals('$.lockHolder.status', status);
    const wasLastCheck = Condition.numberGreaterThanEquals('$.lockChecks.count', CHECKS);
    const hasEnded = new Choice(this, LOCK.hasHolderEnded)
      .when(Condition.or(...['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'].map(isStatus)), next.ended)
      .when(Condition.and(isStatus('UNKNOWN'), wasLastCheck), next.ended)
      .when(wasLastCheck, next.refused)
      .otherwise(next.wait);
    describe.next(hasEnded);
    unknown.next(hasEnded);
    // Each holder has all checks: one that has just acquired the lock may not be shown yet.
    const beginChecks = new Pass(this, LOCK.beginChecks, {
      parameters: { count: 1, 'execution.$': '$.lock.value.execution' },
      resultPath: '$.lockChecks',
    });
    beginChecks.next(describe);
    return new Choice(this, LOCK.whose)
      .when(Condition.not(isLock('$.lock.value')), next.unreadable)
      .when(Condition.not(IS_VALID), next.readBefore)
      .when(Condition.stringEquals('$.lock.value.execution', ''), next.free)
      .when(IS_OWN, next.own)
      .when(Condition.stringEqualsJsonPath('$.lock.value.execution', '$.lockChecks.execution'), describe)
      .otherwise(beginChecks);
  }

  /**
   * Releases the lock, if this execution holds it. If that fails, the next deploy finds that the execution has ended.
   * @returns the first state
   */
  release(next: IChainable): State {
    const read = this.read(RELEASE.read, this.name);
    const readBefore = this.read(RELEASE.readBefore, this.versionBefore());
    const version = JsonPath.mathAdd(JsonPath.numberAt('$.lock.version'), 1);
    const prepare = new Pass(this, RELEASE.prepare, {
      parameters: { execution: '', deploy: NULL, startedAt: NULL, version },
      resultPath: '$.lockWrite',
    });
    const write = this.write(RELEASE.write, {
      overwrite: true,
      value: '$.lockWrite',
      resultPath: JsonPath.DISCARD,
    });
    for (const state of [read, readBefore, write]) catchAll(state, next, '$.lockFailure');
    const isOwn = new Choice(this, RELEASE.isOwn)
      .when(Condition.not(isLock('$.lock.value')), next)
      // Written by an execution that was late, perhaps this one: then the lock is not its own.
      .when(Condition.not(IS_VALID), readBefore)
      .when(IS_OWN, write)
      .otherwise(next);
    read.next(prepare).next(isOwn);
    readBefore.next(isOwn);
    write.next(next);
    return read;
  }

  /** The name of the version before the one in `$.lock`. */
  private versionBefore(): string {
    return JsonPath.format('{}:{}', this.name, JsonPath.mathAdd(JsonPath.numberAt('$.lock.version'), -1));
  }

  /** Reads the lock into `$.lock`. */
  private read(id: string, name: string): TaskStateBase {
    return awsCall(this, id, {
      api: 'ssm',
      action: 'getParameter',
      iamResources: [parameterArn(this, this.name)],
      parameters: { Name: name },
      result: {
        path: '$.lock',
        selector: { 'value.$': 'States.StringToJson($.Parameter.Value)', 'version.$': '$.Parameter.Version' },
      },
    });
  }

  private write(
    id: string,
    { overwrite, value, resultPath }: { overwrite: string | true; value: string; resultPath: string },
  ): TaskStateBase {
    return awsCall(this, id, {
      api: 'ssm',
      action: 'putParameter',
      iamResources: [parameterArn(this, this.name)],
      parameters: {
        Name: this.name,
        Type: 'String',
        Overwrite: overwrite,
        Value: JsonPath.jsonToString(JsonPath.objectAt(value)),
        Description: 'pg-deploy-step: allows one deploy at a time',
      },
      ...(resultPath !== JsonPath.DISCARD && {
        result: { path: resultPath, selector: { 'version.$': '$.Version' } },
      }),
    });
  }
}

function isLock(path: string): Condition {
  return Condition.and(
    Condition.isPresent(`${path}.execution`),
    Condition.isString(`${path}.execution`),
    Condition.isPresent(`${path}.version`),
    Condition.isNumeric(`${path}.version`),
  );
}
