import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { ExecutionResult } from '../../local/engine.ts';
import type { LocalDeploy } from '../../local/local-workflow.ts';
import { runSummary } from '../summary/run-summary.ts';
import { takesColour } from '../terminal/styled-text.ts';
import { type RunContext, type RunSettings, startServicesCommand } from './run-context.ts';
import type { LastLines } from './shell-migrations.ts';

export interface EndedRun {
  readonly deploy: LocalDeploy;
  /** How start-services ended after an interrupt. Null: the deploy was not interrupted. */
  readonly recovery: ExecutionResult | null;
  /** Names of services that are still stopped. */
  readonly stoppedServices: readonly string[];
  /** The last output of the migration command. */
  readonly lastLines: LastLines;
}

/** Prints the summary of a run and writes its report. @returns true when the deploy succeeded */
export function concludeRun({ settings, output, paths }: RunContext, ended: EndedRun): boolean {
  const { deploy, recovery } = ended;
  const report = deploy.summary?.report;
  if (report !== undefined) {
    const colour = !settings.json && takesColour(process.stdout);
    const startCommand = startServicesCommand(settings);
    output.print(`\n${runSummary(report, { colour, startCommand })}`);
    if (report.migrations.outcome === 'failed' && ended.lastLines.text !== '') {
      output.print(`Last output of the migration command:${ended.lastLines.text}`);
    }
    const json = `${JSON.stringify(report, null, 2)}\n`;
    if (settings.json) process.stdout.write(json);
    if (settings.reportFile !== null) writeFileSync(settings.reportFile, json);
  } else if (recovery === null) {
    const { status, error, cause } = deploy.result;
    const reason = [error, cause].filter(Boolean).join(': ');
    output.print(`The deploy ended as ${status} without a report. ${reason}`);
  }
  if (recovery !== null) output.print(interruptText(settings, ended, recovery));
  if (report?.status === 'succeeded' && recovery === null) {
    rmSync(paths.logFile, { force: true });
    return true;
  }
  if (existsSync(paths.logFile)) output.print(`Log of the functions: ${paths.logFile}`);
  return false;
}

function interruptText(
  settings: RunSettings,
  { deploy, stoppedServices }: EndedRun,
  recovery: ExecutionResult,
): string {
  const interrupted =
    deploy.summary === undefined
      ? 'The deploy was interrupted before it wrote a report.'
      : 'The deploy was interrupted.';
  if (settings.services === 'none') return interrupted;
  if (recovery.status === 'SUCCEEDED' && stoppedServices.length === 0) {
    return `${interrupted}\nThe services that it had stopped are running again.`;
  }
  const command = startServicesCommand(settings);
  const start = command === null ? '' : ` Start them with: ${command}`;
  return `${interrupted}\nServices LEFT STOPPED: ${stoppedServices.join(', ')} (${recovery.cause ?? recovery.status}).${start}`;
}
