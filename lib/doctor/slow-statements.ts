import { humanDuration } from '../../lambdas/shared/human-units.ts';
import { type Finding, finding } from './finding.ts';
import type { LiveDatabase } from './live-database.ts';
import { maskedStatement } from './masked-statement.ts';

/** The statements that took longest in total, the worst first. */
export function slowStatements({ slowStatements: statements }: LiveDatabase): Finding[] {
  return statements.map(({ queryId, query, calls, totalMs, meanMs, deviationMs, rows }) =>
    finding({
      kind: 'slow-statement',
      evidence:
        `${calls} calls took ${humanDuration(totalMs)}: ${humanDuration(meanMs)} each on average, with a standard deviation of ` +
        `${humanDuration(deviationMs)}, and ${Math.round(rows / calls)} rows. Statement ${queryId}: ${maskedStatement(query)}`,
      fix: 'Look at its plan with sample values: explain --query SQL --param VALUE.',
      confidence: 'medium',
      weight: totalMs,
    }),
  );
}
