import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { CommandFolder } from '../../support/command.ts';
import { processesOf } from '../../support/processes.ts';
import type { CommandRun, EndedRun } from '../command-run.ts';
import { reportOf } from './report.ts';
import { type Violation, violationIf } from './violation.ts';

/** Processes end shortly after the command. A process that stays longer was left. */
const PROCESSES_MS = 60_000;

/** The services run again after an undisturbed run, or are left stopped deliberately, and the report says which. */
export function checkServices(folder: CommandFolder, ended: EndedRun): Violation[] {
  const report = reportOf(ended);
  const failedCritically =
    report?.indexes.some((index) => index.critical && index.status === 'failed') ?? false;
  const stopped = (report?.services ?? [])
    .filter(({ startedAt }) => startedAt === null)
    .map(({ name }) => name);
  const saved = hasSavedState(folder);
  if (!failedCritically) {
    return violationIf(
      'After a run without a critical failure all services run again.',
      saved || /LEFT STOPPED/.test(ended.stderr) ? [{ services: report?.services, saved }] : [],
    );
  }
  // Services that an earlier run left stopped, and that this run did not stop again, are not in its report.
  return violationIf(
    'After a critical failure the services are left stopped, their state is saved, and the output says so.',
    saved && /LEFT STOPPED/i.test(ended.stderr)
      ? []
      : [{ stopped, saved, output: ended.stderr.split('\n').slice(-15) }],
  );
}

/** A run that succeeds has started everything that it, or a run before it, had stopped. */
export function checkStarted(
  folder: CommandFolder,
  { run, ended }: { readonly run: Pick<CommandRun, 'number' | 'plan'>; readonly ended: EndedRun },
): Violation[] {
  const starts =
    run.plan.services === 'demo' && (run.plan.mode === 'deploy' || run.plan.mode === 'start-services');
  return violationIf(
    `A run that succeeds leaves no service stopped (run ${run.number}).`,
    starts && ended.exitCode === 0 && hasSavedState(folder)
      ? [reportOf(ended)?.services, ended.stderr.slice(-2000)]
      : [],
  );
}

/** The state of the local AWS stays only as long as services are stopped. */
export function hasSavedState(folder: CommandFolder): boolean {
  const place = folder.file('.pg-deploy-step');
  return existsSync(place) && readdirSync(place).some((name) => name.endsWith('.json'));
}

/** No process and no temporary folder of a command is left. */
export async function checkMachine(folder: CommandFolder, patienceMs = PROCESSES_MS): Promise<Violation[]> {
  const deadline = Date.now() + patienceMs;
  while (processesOf(folder.root).length > 0 && Date.now() < deadline) await pause(100);
  return [
    ...violationIf(
      'No process of a command is left.',
      processesOf(folder.root).map(({ pid, commandLine }) => ({ pid, commandLine })),
    ),
    ...violationIf('No temporary file of a command is left.', folder.temporaryFiles()),
  ];
}
