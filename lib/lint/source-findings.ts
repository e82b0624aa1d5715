import type { Skipped, SqlSource } from '../sources/sql-source.ts';
import type { Finding } from './finding.ts';

/** The finding for a file that is not text in UTF-8. Empty: it is. */
export function encodingFinding({ file, encodingProblem }: SqlSource): Finding[] {
  if (encodingProblem == null) return [];
  const { line, column, message } = encodingProblem;
  return [{ rule: 'encoding', severity: 'error', file, line, column, message }];
}

/** The finding for a file, or a part of one, that is not read. */
export function skippedFinding({ file, line, what, reason, isError = false }: Skipped): Finding {
  if (isError) {
    const message = `The ${what} is not applied or checked: ${reason}.`;
    return { rule: 'migration-file', severity: 'error', file, line: 1, column: 1, message };
  }
  const message = `The ${what} is not checked: ${reason}.`;
  return { rule: 'unreadable', severity: 'warning', file, line: line ?? 1, column: 1, message };
}

/** The files that are code and were not run. */
export function filesNotRun(skipped: readonly Skipped[]): string[] {
  return skipped.flatMap(({ isCode = false, file }) => (isCode ? [file] : []));
}
