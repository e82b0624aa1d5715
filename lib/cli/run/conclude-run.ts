import type { Report } from '../../../lambdas/shared/report-schema.ts';
import { visibleJson } from '../../../lambdas/shared/visible-text.ts';
import { plansAfterBuild } from '../../explain/served-plans.ts';
import { writeOutputFile } from '../../files/output-file.ts';
import type { LocalDeploy } from '../../local/local-workflow.ts';
import { runSummary } from '../summary/run-summary.ts';
import { printOutput } from '../terminal/print-output.ts';
import { takesColour } from '../terminal/styled-text.ts';
import { errorText } from '../terminal/terminal-text.ts';
import { type HandledInterrupt, handledText } from './interrupt-texts.ts';
import { type RunContext, type RunSettings, startServicesCommand } from './run-context.ts';
import type { LastLines } from './shell-migrations.ts';

export interface EndedRun {
  readonly deploy: LocalDeploy;
  /** How an interrupt was handled. Null: the deploy was not interrupted. */
  readonly interrupted: Omit<HandledInterrupt, 'startCommand'> | null;
  /** The last output of the migration command. */
  readonly lastLines: LastLines;
  /** For the plans of the queries that the built indexes serve. */
  readonly databaseUrl: string;
}

/**
 * Prints the summary of a run and writes its report.
 * @returns true when the deploy succeeded and its report was written
 */
export async function concludeRun(run: RunContext, ended: EndedRun): Promise<boolean> {
  const { settings, output, log } = run;
  const { deploy, interrupted } = ended;
  const reported = deploy.summary?.report;
  const report = reported && (await withPlans(reported, run, ended));
  let isWritten = true;
  if (report !== undefined) {
    const colour = !settings.json && takesColour(process.stdout);
    const startCommand = startServicesCommand(settings);
    output.printLines(`\n${runSummary(report, { colour, startCommand })}`);
    if (report.migrations.outcome === 'failed' && ended.lastLines.text !== '') {
      output.printLines(`Last output of the migration command:${ended.lastLines.text}`);
    }
    isWritten = await writeReport(settings, report);
  } else if (interrupted === null) {
    const { status, error, cause } = deploy.result;
    const reason = [error, cause].filter(Boolean).join(': ');
    output.print(`The deploy ended as ${status} without a report. ${reason}`);
  }
  if (interrupted !== null) {
    const startCommand = startServicesCommand(settings);
    output.print(
      report === undefined
        ? 'The deploy was interrupted before it wrote a report.'
        : 'The deploy was interrupted.',
    );
    const services = handledText({ ...interrupted, startCommand });
    if (services !== '') output.print(services);
  }
  if (report?.status === 'succeeded' && interrupted === null) {
    log.remove();
    return isWritten;
  }
  if (log.file !== null) output.print(`Log of the functions: ${log.file}`);
  return false;
}

/** The report with the plans of the queries that the built indexes serve. They are no reason to fail. */
async function withPlans(
  report: Report,
  { settings, output, interrupt }: RunContext,
  { databaseUrl, interrupted }: EndedRun,
): Promise<Report> {
  if (interrupted !== null || interrupt.signal.aborted || report.mode === 'plan') return report;
  try {
    const queries = await plansAfterBuild(databaseUrl, {
      ...{ registry: settings.registry, indexes: report.indexes, folder: settings.queries },
      searchPath: settings.database.searchPath,
      trustedRoles: settings.database.trustedRoles ?? [],
    });
    return queries === null ? report : { ...report, queries };
  } catch (error) {
    output.print(`The queries in serves were not planned: ${errorText(error)}`);
    return report;
  }
}

/** Writes the report as the settings say. A report that has no other place goes to standard error. */
async function writeReport({ json, reportFile }: RunSettings, report: Report): Promise<boolean> {
  const text = `${visibleJson(report, 2)}\n`;
  let isWritten = !json || (await printOutput('report', text));
  if (reportFile !== null) {
    try {
      await writeOutputFile(reportFile, text);
    } catch (error) {
      isWritten = false;
      process.stderr.write(
        `The report could not be written to a file: ${errorText(error)} The report:\n${text}`,
      );
    }
  }
  return isWritten;
}
