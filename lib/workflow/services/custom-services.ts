import { Aws, Duration } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Choice, Condition, type IChainable, type State, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { type CustomService, resourceKey } from '../../config/services-config.ts';
import { catchAllJsonata, JsonataTask, jsonata } from '../jsonata-task.ts';
import {
  CUSTOM_RETRIES,
  IDLE_FUNCTION_RETRY,
  LAMBDA_RETRY,
  THROTTLED_INVOCATION_RETRY,
} from '../retry-and-catch.ts';
import { CUSTOM, type WaitNames } from '../state-names.ts';
import { waitUntil } from '../wait-until.ts';
import type { AfterCheck, AfterStart, AfterStop, ServiceKind, WaitLimits } from './service-kind.ts';

/** Seconds that a function has for each action. */
const CALL_SECONDS = 120;
/** Characters of a state as JSON: with the other fields of a saved state it has to fit into a parameter of 4,096 characters. */
const STATE_CHARACTERS = 1000;
const REASON_CHARACTERS = 500;

const ANSWER = '$states.result.Payload';
const IS_OBJECT = `$type(${ANSWER}) = 'object'`;

interface Call {
  action: 'check' | 'stop' | 'look' | 'start';
  /** Expressions of the name of the deploy that stopped the service, and of the saved state. */
  deploy: string;
  state: string;
  /** Expression of the time of the answer to `stop` or `start`. @default none: there is no such answer yet */
  since?: string;
  /** Fields that the answer adds. */
  adds: string;
  /** The role of the state machine gets the permission elsewhere: see `ServiceKind.restoreRights`. */
  granted: boolean;
}

/** A stop and a start add when they were answered. What else they answer is discarded. */
const ASKED = "{'asked': {'at': $now()}}";

/** The name of the deploy, in an execution of maintenance-window. */
const THIS_DEPLOY = '$states.context.Execution.Input.deploy';
const STOP = { deploy: THIS_DEPLOY, state: '$states.input.stateToSave.current.state' };
const START = {
  deploy: '$states.input.savedState.value.deploy',
  state: '$states.input.savedState.value.current.state',
};

/**
 * Anything that a Lambda function of the user checks, stops and starts: docs/custom-services.md is its contract.
 * `$.current` holds `state`, an object of the function that only the function reads. What it answers is not trusted: types are
 * checked, texts are bounded, and nothing of it becomes part of an expression, a path or the name of a resource.
 */
export class CustomServices implements ServiceKind {
  readonly kind = 'custom';
  readonly #services: readonly CustomService[];
  readonly #limits: WaitLimits;
  readonly #environmentName: string;

  constructor(services: readonly CustomService[], limits: WaitLimits, environmentName: string) {
    this.#services = services;
    this.#limits = limits;
    this.#environmentName = environmentName;
  }

  get isUsed(): boolean {
    return this.#services.length > 0;
  }

  check(scope: Construct, { usable, refused, failed }: AfterCheck): State {
    const state = `${ANSWER}.state`;
    const isUsable = `${IS_OBJECT} and ${ANSWER}.usable = true and $type(${state}) = 'object' and $length($string(${state})) <= ${STATE_CHARACTERS}`;
    const isRefused = `${IS_OBJECT} and ${ANSWER}.usable = false and $type(${ANSWER}.reason) = 'string'`;
    const unknown = `its function did not answer "check" as documented: with {"usable": true, "state": an object of at most ${STATE_CHARACTERS} characters as JSON}, or with {"usable": false, "reason": text}`;
    const check = this.#call(scope, CUSTOM.check, {
      action: 'check',
      deploy: THIS_DEPLOY,
      state: 'null',
      adds: `(${isUsable} ? {'usable': true, 'current': {'state': ${state}}} : {'usable': false, 'refusal': {'reason': ${isRefused} ? $substring(${ANSWER}.reason, 0, ${REASON_CHARACTERS}) : '${unknown}', 'waits': false}})`,
      granted: false,
    });
    catchAllJsonata(check, failed);
    check.next(
      new Choice(scope, CUSTOM.isUsable)
        .when(Condition.booleanEquals('$.usable', true), usable)
        .otherwise(refused),
    );
    return check;
  }

  stop(scope: Construct, { stopped, late, failed }: AfterStop): State {
    const stop = this.#call(scope, CUSTOM.stop, { action: 'stop', ...STOP, adds: ASKED, granted: false });
    catchAllJsonata(stop, failed);
    stop.next(
      this.#waitFor(scope, {
        names: CUSTOM.stopped,
        isAnswered: CUSTOM.isStopAnswered,
        ...{ ...STOP, goal: 'stopped', granted: false },
        ...{ checks: this.#limits.stopChecks, pollSeconds: this.#limits.pollSeconds },
        ...{ reached: stopped, late, failed },
      }),
    );
    return stop;
  }

  readonly canBeStarted = Condition.and(
    Condition.isPresent('$.service.function'),
    Condition.isString('$.service.function'),
    Condition.isPresent('$.savedState.value.deploy'),
    Condition.isString('$.savedState.value.deploy'),
    Condition.isPresent('$.savedState.value.current.state'),
  );

  start(scope: Construct, { steady, late, failed }: AfterStart): State {
    const start = this.#call(scope, CUSTOM.start, { action: 'start', ...START, adds: ASKED, granted: true });
    catchAllJsonata(start, failed);
    start.next(
      this.#waitFor(scope, {
        names: CUSTOM.started,
        isAnswered: CUSTOM.isStartAnswered,
        ...{ ...START, goal: 'started', granted: true },
        ...{ checks: this.#limits.startChecks, pollSeconds: this.#limits.startPollSeconds },
        ...{ reached: steady, late, failed },
      }),
    );
    return start;
  }

  restoreRights(): Record<string, PolicyStatement[]> {
    return Object.fromEntries(
      this.#services.map((service) => [resourceKey(service), [mayInvoke([service])]]),
    );
  }

  /** Looks until the function says that the goal is reached. */
  #waitFor(
    scope: Construct,
    {
      names,
      isAnswered,
      goal,
      reached,
      late,
      failed,
      checks,
      pollSeconds,
      ...call
    }: Pick<Call, 'deploy' | 'state' | 'granted'> & {
      names: WaitNames;
      isAnswered: string;
      goal: 'stopped' | 'started';
      checks: number;
      pollSeconds: number;
      reached: IChainable;
      late: IChainable;
      failed: IChainable;
    },
  ): State {
    const isBoolean = (field: string) => `$type(${ANSWER}.${field}) = 'boolean'`;
    // An answer that is not understood ends the wait too, as a failure.
    const look = this.#call(scope, names.check, {
      action: 'look',
      ...call,
      since: '$states.input.asked.at',
      adds: `(${IS_OBJECT} and ${isBoolean('stopped')} and ${isBoolean('started')} ? {'look': {'isAnswered': true, 'isReached': ${ANSWER}.${goal}}} : {'look': {'isAnswered': false, 'isReached': true}, 'failure': {'Error': 'AnswerNotUnderstood', 'Cause': 'the function did not answer "look" as documented: with {"stopped": true or false, "started": true or false}'}})`,
    });
    catchAllJsonata(look, failed);
    return waitUntil(scope, {
      names,
      check: look,
      reached: Condition.booleanEquals('$.look.isReached', true),
      ...{ checks, pollSeconds },
      onReached: new Choice(scope, isAnswered)
        .when(Condition.booleanEquals('$.look.isAnswered', true), reached)
        .otherwise(failed),
      onLate: late,
    });
  }

  #call(scope: Construct, id: string, { action, deploy, state, since, adds, granted }: Call): JsonataTask {
    const task = new JsonataTask(scope, id, {
      resource: `arn:${Aws.PARTITION}:states:::lambda:invoke`,
      arguments: {
        FunctionName: jsonata('$states.input.service.function'),
        Payload: {
          action,
          environment: this.#environmentName,
          name: jsonata('$states.input.service.name'),
          deploy: jsonata(deploy),
          state: jsonata(state),
          ...(since !== undefined && { since: jsonata(since) }),
        },
      },
      adds,
      taskTimeout: Timeout.duration(Duration.seconds(CALL_SECONDS)),
      policies: granted ? [] : [mayInvoke(this.#services)],
    });
    for (const retry of [THROTTLED_INVOCATION_RETRY, LAMBDA_RETRY, IDLE_FUNCTION_RETRY, ...CUSTOM_RETRIES])
      task.addRetry(retry);
    return task;
  }
}

function mayInvoke(services: readonly CustomService[]): PolicyStatement {
  return new PolicyStatement({
    actions: ['lambda:InvokeFunction'],
    resources: services.map((service) => service.function),
  });
}
