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
 * Errors of Lambda itself, and workers that died. A retry is safe because every function may run twice.
 * Pauses: 1 + 2 + 4 + … + 32 s, about a minute in total before jitter.
 */
export const LAMBDA_RETRY: RetryProps = {
  errors: [
    'Lambda.ClientExecutionTimeoutException',
    'Lambda.ServiceException',
    'Lambda.AWSLambdaException',
    'Lambda.SdkClientException',
    'Lambda.TooManyRequestsException',
    'Lambda.Unknown',
    'Runtime.ExitError',
  ],
  interval: Duration.seconds(1),
  maxAttempts: 6,
  backoffRate: 2,
  jitterStrategy: JitterType.FULL,
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
 * ECS refused to start the migration task: throttled, or no capacity. Errors that may occur after the start
 * (ECS.ServerException, States.TaskFailed, a time-out) are not retried, because two migrations must not run at once.
 * Pauses: 5 + 10 + 20 + 40 + 60 + 60 + 60 s, about 4 minutes in total before jitter.
 */
export const NOT_STARTED_TASK_RETRY: RetryProps = {
  // The first name is for the `failures` of RunTask, the others are for errors of the API call.
  errors: ['AmazonECS.Unknown', 'ECS.AmazonECSException', 'ECS.ThrottlingException'],
  interval: Duration.seconds(5),
  maxAttempts: 7,
  backoffRate: 2,
  maxDelay: Duration.seconds(60),
  jitterStrategy: JitterType.FULL,
};

/**
 * Lambda did not start the application's migration function because of its concurrency limit. That function may not be
 * safe to run twice, so no other error is retried. Pauses: 1 + 2 + 4 + … + 32 s, about a minute in total before jitter.
 */
export const NOT_STARTED_FUNCTION_RETRY: RetryProps = {
  errors: ['Lambda.TooManyRequestsException'],
  interval: Duration.seconds(1),
  maxAttempts: 6,
  backoffRate: 2,
  jitterStrategy: JitterType.FULL,
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

/** Throttling and temporary errors of an AWS API, with the prefix that SDK integrations use for the service. */
export function apiRetry(service: string): RetryProps {
  return {
    errors: [
      `${service}.ThrottlingException`,
      `${service}.ServerException`,
      `${service}.InternalServerErrorException`,
      `${service}.InternalServiceException`,
      `${service}.InternalException`,
      `${service}.ServiceException`,
      `${service}.ConcurrentUpdateException`,
      `${service}.ConcurrentModificationException`,
      `${service}.TooManyUpdatesException`,
      `${service}.TooManyRequestsException`,
      // An event source mapping whose last change is still in progress.
      `${service}.ResourceInUseException`,
      `${service}.ResourceConflictException`,
      `${service}.SdkClientException`,
      Errors.TIMEOUT,
    ],
    interval: Duration.seconds(1),
    maxAttempts: 8,
    backoffRate: 2,
    maxDelay: Duration.seconds(30),
    jitterStrategy: JitterType.FULL,
  };
}
