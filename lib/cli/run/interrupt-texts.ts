import { listed } from '../../../lambdas/shared/text.ts';
import { oneLine } from '../../../lambdas/shared/visible-text.ts';
import type { ExecutionResult } from '../../local/engine.ts';

/** What an interrupt finds: the services of a run at one moment. */
export interface ServicesNow {
  /** The run has no services. */
  readonly none: boolean;
  /** Names of services that are stopped, or are being stopped. */
  readonly stopped: readonly string[];
  /** This run has stopped services, also those that it has started again since. */
  readonly hasStopped: boolean;
  /** A critical failure left them stopped deliberately. */
  readonly leftStopped: boolean;
}

/** Says what happens next, at the moment of the interrupt. */
export function interruptedText(services: ServicesNow, isEmbedded: boolean): string {
  const rest = isEmbedded
    ? 'The embedded database stops with this command.'
    : 'Running index builds continue in the database; a migration that is not committed is rolled back.';
  return `Interrupted. Aborting the deploy${nextOf(services)} ${rest}`;
}

function nextOf({ none, stopped, hasStopped, leftStopped }: ServicesNow): string {
  if (none) return '.';
  if (leftStopped) return '. The services stay stopped, because a critical failure left them stopped.';
  if (stopped.length > 0) return ' and starting the services again.';
  return hasStopped
    ? '. The services have already been started again.'
    : '. No service has been stopped so far.';
}

/** Answers a further Ctrl-C while the first one is handled. */
export function stillText({ stopped, leftStopped }: ServicesNow): string {
  return stopped.length > 0 && !leftStopped
    ? 'Still starting the services again. Please wait: otherwise they stay stopped.'
    : 'Still aborting the deploy.';
}

/** Says what is true when the interrupt has been handled. */
export interface HandledInterrupt {
  /** Before the recovery. */
  readonly before: ServicesNow;
  /** After the recovery. */
  readonly after: ServicesNow;
  readonly recovery: ExecutionResult;
  /** Null: they stop with this run. */
  readonly startCommand: string | null;
}

export function handledText({ before, after, recovery, startCommand }: HandledInterrupt): string {
  if (after.none) return '';
  if (after.stopped.length > 0) {
    const why = after.leftStopped
      ? 'a critical failure left them stopped'
      : oneLine(recovery.cause ?? `start-services ended as ${recovery.status}`);
    const start = startCommand === null ? '' : ` Start them with: ${startCommand}`;
    return `Services LEFT STOPPED: ${listed(after.stopped)} (${why}).${start}`;
  }
  if (before.stopped.length > 0) return 'The services that it had stopped are running again.';
  return after.hasStopped
    ? 'The services that it had stopped had already been started again.'
    : 'No service was stopped.';
}
