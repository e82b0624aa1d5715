import { beforeAll, describe, expect, test } from 'vitest';
import type { EnvironmentInput } from '../../lib/config/environment-config.ts';
import { throttlingNames } from '../../lib/local/aws/throttling.ts';
import { MACHINES, type State, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { ecsTaskInput, everyKindInput, lambdaInput, prodInput } from './support/synthesise.ts';

/** Environments that together have every call of the workflow. */
const ENVIRONMENTS: Record<string, EnvironmentInput> = {
  prod: prodInput(),
  every: { ...everyKindInput(), alarms: true, drain: { roles: ['app'] } },
  task: ecsTaskInput(),
  function: lambdaInput(),
};

/** Errors that another attempt cannot fix, by the beginning of the Resource. */
const PERMANENT: [resource: string, names: string[]][] = [
  [
    'arn:aws:states:::aws-sdk:ecs:',
    [
      'Ecs.AccessDeniedException',
      'Ecs.ClientException',
      'Ecs.ClusterNotFoundException',
      'Ecs.InvalidParameterException',
      'Ecs.ServiceNotActiveException',
      'Ecs.ServiceNotFoundException',
    ],
  ],
  [
    'arn:aws:states:::aws-sdk:applicationautoscaling:',
    [
      'ApplicationAutoScaling.AccessDeniedException',
      'ApplicationAutoScaling.LimitExceededException',
      'ApplicationAutoScaling.ObjectNotFoundException',
      'ApplicationAutoScaling.ValidationException',
    ],
  ],
  [
    'arn:aws:states:::aws-sdk:elasticloadbalancingv2:',
    [
      'ElasticLoadBalancingV2.AccessDeniedException',
      'ElasticLoadBalancingV2.InvalidTargetException',
      'ElasticLoadBalancingV2.TargetGroupNotFoundException',
    ],
  ],
  [
    'arn:aws:states:::aws-sdk:ssm:',
    [
      'Ssm.AccessDeniedException',
      'Ssm.ParameterAlreadyExistsException',
      'Ssm.ParameterLimitExceededException',
      'Ssm.ParameterNotFoundException',
    ],
  ],
  [
    'arn:aws:states:::aws-sdk:cloudwatch:',
    ['CloudWatch.InvalidParameterValueException', 'CloudWatch.MissingRequiredParameterException'],
  ],
  ['arn:aws:states:::aws-sdk:sfn:', ['Sfn.AccessDeniedException', 'Sfn.ExecutionDoesNotExistException']],
  [
    'arn:aws:states:::aws-sdk:eventbridge:',
    [
      'EventBridge.AccessDeniedException',
      'EventBridge.ManagedRuleException',
      'EventBridge.ResourceNotFoundException',
    ],
  ],
  [
    'arn:aws:states:::aws-sdk:scheduler:',
    [
      'Scheduler.SchedulerException',
      'Scheduler.ResourceNotFoundException',
      'Scheduler.ServiceQuotaExceededException',
      'Scheduler.ValidationException',
    ],
  ],
  [
    'arn:aws:states:::aws-sdk:lambda:',
    ['Lambda.AccessDeniedException', 'Lambda.LambdaException', 'Lambda.ResourceNotFoundException'],
  ],
  [
    'arn:aws:states:::lambda:invoke',
    ['Lambda.AccessDeniedException', 'Lambda.KMSAccessDeniedException', 'Lambda.ResourceNotFoundException'],
  ],
  [
    'arn:aws:states:::states:startExecution',
    [
      'StepFunctions.AccessDeniedException',
      'StepFunctions.InvalidExecutionInputException',
      'StepFunctions.StateMachineDoesNotExistException',
    ],
  ],
  [
    'arn:aws:states:::ecs:runTask',
    ['ECS.AccessDeniedException', 'ECS.ClientException', 'ECS.ClusterNotFoundException'],
  ],
  ['arn:aws:states:::sns:publish', ['SNS.AuthorizationErrorException', 'SNS.NotFoundException']],
];

const METRIC = 'arn:aws:states:::aws-sdk:cloudwatch:putMetricData';

/** The whole pause of all retries before jitter. */
const TEN_MINUTES = 600;

let machines: Machines;
beforeAll(async () => {
  machines = await synthesiseMachines(ENVIRONMENTS);
});

/** All Task states, by environment, state machine and name. */
function calls(): [string, State & { Resource: string }][] {
  return Object.keys(ENVIRONMENTS).flatMap((environment) =>
    MACHINES.flatMap((machine) =>
      Object.entries(statesOf(machines.machine(environment, machine))).flatMap(([name, state]) =>
        state.Type === 'Task' && state.Resource !== undefined
          ? [[`${environment}, ${machine}: ${name}`, { ...state, Resource: state.Resource }] as const]
          : [],
      ),
    ),
  ) as [string, State & { Resource: string }][];
}

const retrierOf = (state: State, error: string) =>
  state.Retry?.find(({ ErrorEquals }) => ErrorEquals.includes(error));

type Retrier = NonNullable<State['Retry']>[number];

function wholePause({
  IntervalSeconds = 1,
  BackoffRate = 2,
  MaxAttempts = 3,
  MaxDelaySeconds = Infinity,
}: Retrier): number {
  return Array.from({ length: MaxAttempts }, (_, at) =>
    Math.min(IntervalSeconds * BackoffRate ** at, MaxDelaySeconds),
  ).reduce((sum, pause) => sum + pause, 0);
}

test('the environments have calls of every service', () => {
  const resources = calls().map(([, { Resource: resource }]) => resource);

  expect(PERMANENT.filter(([prefix]) => !resources.some((resource) => resource.startsWith(prefix)))).toEqual(
    [],
  );
});

describe('every call', () => {
  test('retries throttling under each of its names, with jitter and a longest pause', () => {
    const wrong = calls().flatMap(([name, state]) =>
      throttlingNames(state.Resource).flatMap((error) => {
        const retrier = retrierOf(state, error);
        const isRight =
          retrier?.JitterStrategy === 'FULL' &&
          (retrier.BackoffRate ?? 0) > 1 &&
          (retrier.MaxDelaySeconds ?? Infinity) <= 60;
        return isRight ? [] : [`${name}: ${error}`];
      }),
    );

    expect(wrong).toEqual([]);
  });

  test('retries throttling for at least ten minutes before jitter', () => {
    const short = calls().flatMap(([name, state]) =>
      state.Resource === METRIC
        ? []
        : throttlingNames(state.Resource)
            // The same name stands for a wrong parameter, which has to fail within minutes.
            .filter((error) => error !== 'ECS.InvalidParameterException')
            .flatMap((error) => {
              const retrier = retrierOf(state, error);
              return retrier !== undefined && wholePause(retrier) >= TEN_MINUTES ? [] : [`${name}: ${error}`];
            }),
    );

    expect(short).toEqual([]);
  });

  test('retries the metric of a recovery for seconds only, because the services start afterwards', () => {
    const pauses = calls()
      .filter(([, state]) => state.Resource === METRIC)
      .flatMap(([, state]) => throttlingNames(METRIC).map((error) => retrierOf(state, error)))
      .map((retrier) => (retrier === undefined ? 0 : wholePause(retrier)));

    expect(new Set(pauses)).toEqual(new Set([15]));
  });

  test('fails at once with an error that another attempt cannot fix', () => {
    const retried = calls().flatMap(([name, state]) => {
      const permanent = PERMANENT.find(([resource]) => state.Resource.startsWith(resource));
      if (permanent === undefined) throw new Error(`Which errors of ${state.Resource} are permanent?`);
      return [...permanent[1], 'States.Permissions']
        .filter((error) => retrierOf(state, error) !== undefined)
        .map((error) => `${name}: ${error}`);
    });

    expect(retried).toEqual([]);
  });

  test('fails at once with an unknown error, except Start Services, which has to succeed', () => {
    const retried = calls().filter(([, state]) => retrierOf(state, 'States.TaskFailed') !== undefined);

    expect([...new Set(retried.map(([name]) => name.replace(/^.*, /, '')))]).toEqual([
      'deploy: Start Services',
    ]);
  });
});
