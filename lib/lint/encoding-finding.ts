import type { SqlSource } from '../sources/sql-source.ts';
import type { Finding } from './finding.ts';

/** The finding for a file that is not text in UTF-8. Empty: it is. */
export function encodingFinding({ file, encodingProblem }: SqlSource): Finding[] {
  if (encodingProblem == null) return [];
  const { line, column, message } = encodingProblem;
  return [{ rule: 'encoding', severity: 'error', file, line, column, message }];
}
