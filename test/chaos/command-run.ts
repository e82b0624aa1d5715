import { existsSync, readFileSync } from 'node:fs';
import type { CommandFolder, EndedCommand, RunningCommand } from '../support/command.ts';

/** The flags of one run. */
export interface RunPlan {
  readonly mode: 'deploy' | 'indexes' | 'plan' | 'start-services';
  readonly services: 'demo' | 'none';
  /** Other flags with their values. */
  readonly flags: readonly string[];
}

/** Longest time that a run may take. It only detects runs that never end. */
const RUN_LIMIT_MS = 10 * 60_000;

/** One run of the command line in a process. */
export interface CommandRun {
  readonly number: number;
  readonly plan: RunPlan;
  readonly command: RunningCommand;
  /** The signal that the chaos sent to it. */
  signalled: NodeJS.Signals | null;
  /** Names of the functions whose processes the chaos killed during the run. */
  readonly killedFunctions: Set<string>;
  readonly ended: Promise<EndedRun>;
}

export interface EndedRun extends EndedCommand {
  /** The text of the file of --report. Null: it does not exist. */
  readonly reportFile: string | null;
  /** It was killed by the chaos test, because it did not end. */
  readonly hung: boolean;
}

/** Starts the command with the registry and the migrations in the folder. */
export function startRun(
  folder: CommandFolder,
  databaseUrl: string,
  { number, plan }: Pick<CommandRun, 'number' | 'plan'>,
): CommandRun {
  const report = folder.file(`report-${number}.json`);
  const command = folder.start(
    ...['run', '--database-url', databaseUrl, '--indexes', 'registry.json', '--migrations', 'migrations'],
    ...['--mode', plan.mode, '--services', plan.services, '--report', report, '--json', ...plan.flags],
  );
  let hung = false;
  const limit = setTimeout(() => {
    hung = true;
    command.signal('SIGKILL');
  }, RUN_LIMIT_MS);
  const ended = command.ended.then((result) => {
    clearTimeout(limit);
    return { ...result, hung, reportFile: existsSync(report) ? readFileSync(report, 'utf8') : null };
  });
  return { number, plan, command, signalled: null, killedFunctions: new Set(), ended };
}
