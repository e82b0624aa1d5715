import type { Report } from '../../lambdas/shared/report-schema.ts';
import type { EngineEvent, ExecutionResult, LocalExecution } from '../../lib/local/engine.ts';
import { DEPLOY } from '../../lib/workflow/state-names.ts';
import type { TestWorkflow } from './workflow.ts';

/** The result of an execution, and its report if it wrote one. */
interface EndedExecution {
  result: ExecutionResult;
  report: Report | undefined;
}

/** Waits for executions that run side by side. @returns the end of each */
export async function waitForEnds(
  { events }: TestWorkflow,
  ...executions: LocalExecution[]
): Promise<EndedExecution[]> {
  const results = await Promise.all(executions.map((execution) => execution.result));
  return executions.map((execution, at) => ({
    result: results[at] ?? { status: 'FAILED' },
    report: reportOf(events, execution),
  }));
}

function reportOf(events: readonly EngineEvent[], { name }: LocalExecution): Report | undefined {
  const exited = events.findLast(
    (event) => event.execution === name && event.state === DEPLOY.report && event.type === 'StateExited',
  );
  return (exited?.output as { report: Report } | undefined)?.report;
}

/** Number of events that the history of one execution would have in AWS. */
export function countHistoryEvents(events: readonly EngineEvent[], execution: string): number {
  return events
    .filter((event) => event.execution === execution)
    .reduce((sum, event) => sum + costOf(event), 0);
}

function costOf({ type, stateType }: EngineEvent): number {
  // A Task state is entered, scheduled, started, succeeds or fails, and is exited. A Map is entered, started, succeeds, is exited.
  if (type === 'StateEntered') return stateType === 'Task' ? 4 : stateType === 'Map' ? 3 : 1;
  if (type === 'StateRetried') return 3;
  return type === 'StateFailed' || type === 'StateCaught' ? 0 : 1;
}
