import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { ExecutionResult } from '../local/engine.ts';
import type { LocalDeploy } from '../local/local-workflow.ts';
import { FAILED, SUCCEEDED } from './exit-codes.ts';
import type { LastLines } from './migration-command.ts';
import { takesColour } from './progress/text.ts';
import type { RunSettings } from './run-settings.ts';
import { startServicesHint } from './state-place.ts';
import { summary } from './summary.ts';

export interface Ended {
  readonly deploy: LocalDeploy;
  /** How the recovery of an interrupted deploy ended. Null: it was not interrupted. */
  readonly recovery: ExecutionResult | null;
  /** Names of services that are stopped and remembered. */
  readonly remembered: readonly string[];
  readonly settings: RunSettings;
  readonly logFile: string;
  readonly lastLines: LastLines;
  readonly say: (line: string) => void;
}

/** Sums a run up for people, writes the report where it was asked for. @returns the exit code */
export function conclude(ended: Ended): number {
  const { deploy, recovery, settings, logFile, say } = ended;
  const report = deploy.summary?.report;
  if (report !== undefined) {
    const colour = !settings.json && takesColour(process.stdout);
    say(`\n${summary(report, { colour, startServicesHint: startServicesHint(settings) })}`);
    if (report.migrations.outcome === 'failed' && ended.lastLines.text !== '') {
      say(`What the migration command wrote last:${ended.lastLines.text}`);
    }
    const json = `${JSON.stringify(report, null, 2)}\n`;
    if (settings.json) process.stdout.write(json);
    if (settings.reportFile !== null) writeFileSync(settings.reportFile, json);
  } else if (recovery === null) {
    const { status, error, cause } = deploy.result;
    say(`The deploy ended as ${status} without a report. ${[error, cause].filter(Boolean).join(': ')}`);
  }
  if (recovery !== null) say(interruption(ended, recovery));
  if (report?.status === 'succeeded' && recovery === null) {
    rmSync(logFile, { force: true });
    return SUCCEEDED;
  }
  if (existsSync(logFile)) say(`The functions' log: ${logFile}`);
  return FAILED;
}

function interruption({ deploy, remembered, settings }: Ended, recovery: ExecutionResult): string {
  const report = deploy.summary === undefined ? '; there is no report of it' : '';
  const interrupted = `The deploy was interrupted${report}.`;
  if (settings.services === 'none') return interrupted;
  if (recovery.status === 'SUCCEEDED' && remembered.length === 0) {
    return `${interrupted}\nThe services it had stopped were started again.`;
  }
  const hint = startServicesHint(settings);
  const start = hint === null ? '' : ` Start them with: ${hint}`;
  return `${interrupted}\nServices LEFT STOPPED: ${remembered.join(', ')} (${recovery.cause ?? recovery.status}).${start}`;
}
