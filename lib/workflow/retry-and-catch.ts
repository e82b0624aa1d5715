import { Duration } from 'aws-cdk-lib';
import { Errors, JitterType, type RetryProps } from 'aws-cdk-lib/aws-stepfunctions';
import { BUILD_RETRY_ERRORS } from '../../lambdas/shared/errors.ts';
import type { Environment } from '../config/environment-config.ts';

/**
 * Lambda's own trouble, and workers that died: every task may run twice, so another try is always safe.
 * 1 + 2 + 4 + … + 32 s before jitter: about a minute in all.
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
 * A function in a VPC that nobody called for weeks has lost its network interface, and Lambda says so until it has a new
 * one: 2 + 4 + 8 + 16 + 30 + 30 … s, some 4 minutes before jitter.
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
 * Lock conflicts, deadlocks and lost connections of a build: as many attempts as configured, pauses doubling from 1 s up
 * to the longest one. With 10 attempts and 300 s: at most 1 + 2 + 4 + … + 256 s, some 9 minutes of pauses, half of it on
 * average through the jitter.
 */
export function buildRetry(builds: Environment['builds']): RetryProps | undefined {
  // MaxAttempts counts the attempts after the first, and 0 means none.
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

/** A database that restarts or fails over, or somebody's own build that came in between: 1 + 2 + 4 + … + 60 + 60 s, about 4 minutes before jitter. */
export const CONNECTION_RETRY: RetryProps = {
  errors: ['ConnectionLost', 'LockNotAvailable', 'Deadlock'],
  interval: Duration.seconds(1),
  maxAttempts: 9,
  backoffRate: 2,
  maxDelay: Duration.seconds(60),
  jitterStrategy: JitterType.FULL,
};

/** Another session that migrates, a lock that a migration waits for, a failover: nothing was applied, so try again. */
export const MIGRATION_RETRY: RetryProps = {
  errors: ['MigrationLocked', 'LockNotAvailable', 'ConnectionLost'],
  interval: Duration.seconds(2),
  maxAttempts: 4,
  backoffRate: 2,
  maxDelay: Duration.seconds(30),
  jitterStrategy: JitterType.FULL,
};

/**
 * A migration's task that ECS refused to start: throttled, or no capacity for it. What may have come after the start
 * (ECS.ServerException, States.TaskFailed, a time-out) is not tried again, since a migration must not run twice at a time.
 * 5 + 10 + 20 + 40 + 60 + 60 + 60 s, about 4 minutes before jitter.
 */
export const NOT_STARTED_TASK_RETRY: RetryProps = {
  // RunTask's `failures` arrive under the first name, what its API refuses under the others.
  errors: ['AmazonECS.Unknown', 'ECS.AmazonECSException', 'ECS.ThrottlingException'],
  interval: Duration.seconds(5),
  maxAttempts: 7,
  backoffRate: 2,
  maxDelay: Duration.seconds(60),
  jitterStrategy: JitterType.FULL,
};

/**
 * A migration's function that Lambda did not start, for the number that run. Unlike our own tasks it may not be safe to run
 * twice, so nothing else is tried again. 1 + 2 + 4 + … + 32 s: about a minute before jitter.
 */
export const NOT_STARTED_FUNCTION_RETRY: RetryProps = {
  errors: ['Lambda.TooManyRequestsException'],
  interval: Duration.seconds(1),
  maxAttempts: 6,
  backoffRate: 2,
  jitterStrategy: JitterType.FULL,
};

/** Starting services is worth many tries: 5 + 10 + 20 + 40 + 60 + 60 … s, about 10 minutes before jitter. */
export const RESTORE_RETRY: RetryProps = {
  errors: [Errors.TASKS_FAILED, Errors.TIMEOUT],
  interval: Duration.seconds(5),
  maxAttempts: 12,
  backoffRate: 2,
  maxDelay: Duration.seconds(60),
  jitterStrategy: JitterType.FULL,
};

/** Throttling and passing faults of an AWS API, by the names that SDK integrations give them. */
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
      // An event source mapping that is still changing from the last call.
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
