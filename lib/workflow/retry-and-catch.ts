import { Duration } from 'aws-cdk-lib';
import {
  Errors,
  type IChainable,
  JitterType,
  type RetryProps,
  type TaskStateBase,
} from 'aws-cdk-lib/aws-stepfunctions';
import { BUILD_RETRY_ERRORS } from '../../lambdas/shared/errors.ts';
import type { Environment } from '../config/environment-config.ts';
import type { SqlMigrations } from '../config/migrations-config.ts';

/** Catches every error that a Catch can handle. States.ALL does not include States.DataLimitExceeded. */
export function catchAll(state: TaskStateBase, next: IChainable, resultPath: string): void {
  for (const error of ['States.DataLimitExceeded', Errors.ALL])
    state.addCatch(next, { errors: [error], resultPath });
}

/**
 * Pauses of a call that AWS throttles: 1 + 2 + 4 + 8 + 16 + 30 + 30 … s before jitter.
 * Most services do not model throttling, so it arrives under the service's base exception: see docs/aws-behaviour.md. Where a
 * service does not model a refused permission either, that error has the same name, and fails only after all attempts.
 */
const THROTTLED = {
  interval: Duration.seconds(1),
  backoffRate: 2,
  maxDelay: Duration.seconds(30),
  jitterStrategy: JitterType.FULL,
} satisfies Partial<RetryProps>;

/**
 * Retries of an invocation and of the start of a child execution, which must survive ten minutes of throttling. Jitter halves
 * the pauses on average and can make each of them short: 75 retries last 18 minutes on average, and of 10,000,000,000
 * calls about one ends within 10 minutes.
 */
const START_ATTEMPTS = 75;

/** Retries of any other call: 13 minutes before jitter, 6 on average. */
const CALL_ATTEMPTS = 30;

/** Retries of a call that may fail without consequences, so that it does not delay the start of services: 15 s before jitter. */
const OPTIONAL_CALL_ATTEMPTS = 4;

/** Lambda did not start a function because of a concurrency or rate limit, or was not available. */
const THROTTLED_INVOCATION = ['Lambda.TooManyRequestsException', 'Lambda.EC2ThrottledException'];
export const THROTTLED_INVOCATION_RETRY: RetryProps = {
  errors: [...THROTTLED_INVOCATION, 'Lambda.ServiceException', 'Lambda.SdkClientException'],
  ...THROTTLED,
  maxAttempts: START_ATTEMPTS,
};

/**
 * Errors of Lambda itself, and workers that died. A retry is safe because every function may run twice.
 * Pauses: 1 + 2 + 4 + … + 32 s, about a minute in total before jitter.
 */
export const LAMBDA_RETRY: RetryProps = {
  errors: [
    'Lambda.ClientExecutionTimeoutException',
    'Lambda.AWSLambdaException',
    'Lambda.Unknown',
    'Runtime.ExitError',
  ],
  interval: Duration.seconds(1),
  maxAttempts: 6,
  backoffRate: 2,
  maxDelay: Duration.seconds(60),
  jitterStrategy: JitterType.FULL,
};

/**
 * Step Functions did not start a child execution because of a limit. The failure of a child has another name,
 * States.TaskFailed, so no child that has run is started again.
 */
export const THROTTLED_CHILD_RETRY: RetryProps = {
  errors: [
    'StepFunctions.AWSStepFunctionsException',
    'StepFunctions.SfnException',
    'Sfn.SfnException',
    'StepFunctions.ThrottlingException',
    'StepFunctions.ExecutionLimitExceeded',
    'StepFunctions.ExecutionLimitExceededException',
    'StepFunctions.KmsThrottlingException',
    'StepFunctions.SdkClientException',
  ],
  ...THROTTLED,
  maxAttempts: START_ATTEMPTS,
};

/**
 * Lambda removes the network interface of a function in a VPC that was idle for weeks. It returns these errors until the
 * function has a new one. Pauses: 2 + 4 + 8 + 16 + 30 + 30 … s, about 4 minutes in total before jitter.
 */
export const IDLE_FUNCTION_RETRY: RetryProps = {
  errors: [
    'Lambda.ResourceNotReadyException',
    'Lambda.ResourceConflictException',
    'Lambda.ENILimitReachedException',
  ],
  interval: Duration.seconds(2),
  maxAttempts: 11,
  backoffRate: 2,
  maxDelay: Duration.seconds(30),
  jitterStrategy: JitterType.FULL,
};

/**
 * Lock conflicts, deadlocks and lost connections of a build. The pauses double from 1 s up to the configured longest
 * pause. With 10 attempts and 300 s: 1 + 2 + 4 + … + 256 s, about 9 minutes in total before jitter.
 * @returns undefined when only one attempt is configured
 */
export function buildRetry(builds: Environment['builds']): RetryProps | undefined {
  // MaxAttempts counts the retries after the first attempt.
  if (builds.attempts === 1) return undefined;
  return {
    errors: [...BUILD_RETRY_ERRORS, 'Sandbox.Timedout'],
    interval: Duration.seconds(1),
    maxAttempts: builds.attempts - 1,
    backoffRate: 2,
    maxDelay: Duration.seconds(builds.maxPauseSeconds),
    jitterStrategy: JitterType.FULL,
  };
}

/**
 * A database that restarts or fails over, or a lock that another session holds. Pauses: 1 + 2 + 4 + … + 60 + 60 s, about
 * 4 minutes in total before jitter.
 */
export const CONNECTION_RETRY: RetryProps = {
  errors: ['ConnectionLost', 'LockNotAvailable', 'Deadlock'],
  interval: Duration.seconds(1),
  maxAttempts: 9,
  backoffRate: 2,
  maxDelay: Duration.seconds(60),
  jitterStrategy: JitterType.FULL,
};

/**
 * A lock that a migration waits for, a deadlock, another session that runs migrations, a failover. In each case the whole
 * transaction was rolled back, so the statements of other sessions that waited behind it continue before the next attempt.
 * With 10 attempts: 2 + 4 + 8 + 16 + 30 + 30 … s, about 3 minutes in total before jitter.
 * @returns undefined when only one attempt is configured
 */
export function migrationRetry({ attempts }: Pick<SqlMigrations, 'attempts'>): RetryProps | undefined {
  // MaxAttempts counts the retries after the first attempt.
  if (attempts === 1) return undefined;
  return {
    errors: ['LockNotAvailable', 'Deadlock', 'MigrationLocked', 'ConnectionLost'],
    interval: Duration.seconds(2),
    maxAttempts: attempts - 1,
    backoffRate: 2,
    maxDelay: Duration.seconds(30),
    jitterStrategy: JitterType.FULL,
  };
}

/**
 * Another run of run-migrations: Lambda may run a function twice for one call, and a function that has timed out for Step
 * Functions continues. It ends within 15 minutes, the limit of Lambda. Pauses: 5 + 10 + 20 + 30 + 30 … s, 20 minutes in total.
 */
export const MIGRATIONS_RUNNING_RETRY: RetryProps = {
  errors: ['MigrationsRunning'],
  interval: Duration.seconds(5),
  maxAttempts: 42,
  backoffRate: 2,
  maxDelay: Duration.seconds(30),
};

/**
 * ECS refused to start the migration task. Errors that may occur after the start (ECS.ServerException, States.TaskFailed, a
 * time-out) are not retried, because two migrations must not run at once.
 */
export const NOT_STARTED_TASK_RETRIES: readonly RetryProps[] = [
  { errors: ['ECS.AmazonECSException', 'ECS.ThrottlingException'], ...THROTTLED, maxAttempts: CALL_ATTEMPTS },
  {
    // For the `failures` of RunTask: no capacity. Pauses: 5 + 10 + 20 + 40 + 60 + 60 + 60 s before jitter.
    errors: ['AmazonECS.Unknown'],
    interval: Duration.seconds(5),
    maxAttempts: 7,
    backoffRate: 2,
    maxDelay: Duration.seconds(60),
    jitterStrategy: JitterType.FULL,
  },
  {
    // Throttling of an API that ECS itself calls, such as that of security groups, or a parameter that is wrong. The
    // services are stopped, so a wrong parameter has to fail soon. Pauses: 5 + 10 + 20 + 40 + 60 s before jitter.
    errors: ['ECS.InvalidParameterException'],
    interval: Duration.seconds(5),
    maxAttempts: 5,
    backoffRate: 2,
    maxDelay: Duration.seconds(60),
    jitterStrategy: JitterType.FULL,
  },
];

/**
 * Lambda did not start the application's migration function because of a limit. That function may not be safe to run twice,
 * so no other error is retried.
 */
export const NOT_STARTED_FUNCTION_RETRY: RetryProps = {
  errors: THROTTLED_INVOCATION,
  ...THROTTLED,
  maxAttempts: START_ATTEMPTS,
};

/**
 * Starting the services, which has to succeed. Pauses: 5 + 10 + 20 + 40 + 60 + 60 … s, about 10 minutes in total before
 * jitter.
 */
export const RESTORE_RETRY: RetryProps = {
  errors: [Errors.TASKS_FAILED, Errors.TIMEOUT],
  interval: Duration.seconds(5),
  maxAttempts: 12,
  backoffRate: 2,
  maxDelay: Duration.seconds(60),
  jitterStrategy: JitterType.FULL,
};

/** The services by their names in SDK integrations, with the prefix of their errors and the name of the base exception. */
export const API_ERRORS = {
  ecs: { prefix: 'Ecs', base: 'EcsException' },
  ssm: { prefix: 'Ssm', base: 'SsmException' },
  sfn: { prefix: 'Sfn', base: 'SfnException' },
  elasticloadbalancingv2: { prefix: 'ElasticLoadBalancingV2', base: 'ElasticLoadBalancingV2Exception' },
  eventbridge: { prefix: 'EventBridge', base: 'EventBridgeException' },
  cloudwatch: { prefix: 'CloudWatch', base: 'CloudWatchException' },
  applicationautoscaling: { prefix: 'ApplicationAutoScaling', base: 'ApplicationAutoScalingException' },
  // Lambda and EventBridge Scheduler model throttling, so their base exceptions, such as LambdaException, are not retried.
  lambda: { prefix: 'Lambda', base: null },
  // ConflictException: another change of the schedule is in progress.
  scheduler: { prefix: 'Scheduler', base: null, more: ['InternalServerException', 'ConflictException'] },
} as const satisfies Record<string, { prefix: string; base: string | null; more?: readonly string[] }>;

/**
 * Throttling and temporary errors of an AWS API that an SDK integration calls.
 * @param isOptional the execution continues without the call, so that it is retried for seconds only
 */
export function apiRetry(api: keyof typeof API_ERRORS, isOptional = false): RetryProps {
  const {
    prefix,
    base,
    more = [],
  }: { prefix: string; base: string | null; more?: readonly string[] } = API_ERRORS[api];
  const names = [
    ...(base === null ? [] : [base]),
    ...more,
    'ThrottlingException',
    'KmsThrottlingException',
    'ServerException',
    'InternalServerErrorException',
    'InternalServiceException',
    'InternalException',
    'ServiceException',
    'ConcurrentUpdateException',
    'ConcurrentModificationException',
    'TooManyUpdatesException',
    'TooManyRequestsException',
    // An event source mapping whose last change is still in progress.
    'ResourceInUseException',
    'ResourceConflictException',
    'SdkClientException',
  ];
  return {
    errors: [...names.map((name) => `${prefix}.${name}`), Errors.TIMEOUT],
    ...THROTTLED,
    maxAttempts: isOptional ? OPTIONAL_CALL_ATTEMPTS : CALL_ATTEMPTS,
  };
}

/** Throttling and temporary errors of SNS. */
export const PUBLISH_RETRY: RetryProps = {
  errors: [
    'SNS.ThrottledException',
    'SNS.AmazonSNSException',
    'SNS.KMSThrottlingException',
    'SNS.InternalErrorException',
    'SNS.SdkClientException',
    Errors.TIMEOUT,
  ],
  ...THROTTLED,
  maxAttempts: CALL_ATTEMPTS,
};

/**
 * A function of the user that is asked to check, stop, look or start. `RetryLater` is the error by which it asks for another
 * attempt. Pauses: 1 + 2 + 4 + 8 + 16 + 30 + 30 … s, 13 minutes before jitter.
 */
export const CUSTOM_RETRIES: readonly RetryProps[] = [
  { errors: ['RetryLater'], ...THROTTLED, maxAttempts: CALL_ATTEMPTS },
  // The answer can come too late or be lost. Each action may run twice.
  { errors: [Errors.TIMEOUT, 'Sandbox.Timedout'], ...THROTTLED, maxAttempts: 2 },
];
