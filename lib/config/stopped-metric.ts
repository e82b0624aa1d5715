import { Duration } from 'aws-cdk-lib';

/** How often the recovery starts while a state is saved. */
export const RECONCILE_EVERY = Duration.minutes(10);

/** A metric that is 1 while services are stopped: the recovery writes it each time that its schedule starts it. */
export const STOPPED_METRIC = 'ServicesStopped';
