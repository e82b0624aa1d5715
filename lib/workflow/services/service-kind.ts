import type { IChainable, State } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Service } from '../../config/environment-config.ts';

/** How to look at, stop and start one kind of service. Each reads `$.service`, an item as `target` makes it. */
export interface ServiceKind {
  /** As the configuration has it. */
  readonly kind: Service['kind'];
  /** Whether there are services of this kind. */
  readonly isUsed: boolean;
  /**
   * Looks whether the service can be stopped: goes to `usable` with what it is to be started with again in `$.current`,
   * or to `refused` with the reason in `$.refusal.reason`.
   */
  check(scope: Construct, ways: { usable: IChainable; refused: IChainable }): State;
  /** Stops it and waits until it has: goes to `stopped`, or to `late` at the deadline. */
  stop(scope: Construct, ways: { stopped: IChainable; late: IChainable }): State;
  /** Starts it as `$.memory.value.current` says and waits until it is steady, or to `late` at the deadline. */
  start(scope: Construct, ways: { steady: IChainable; late: IChainable }): State;
  /** What is still to be done once it runs, or has not come to run: nothing, for most. */
  afterStart?(scope: Construct, next: IChainable): State;
}

/** Looks that fit into the deadlines, and the pause between two of them. */
export interface Patience {
  stopLooks: number;
  startLooks: number;
  pollSeconds: number;
}
