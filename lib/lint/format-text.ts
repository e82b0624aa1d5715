import { counted } from '../../lambdas/shared/text.ts';
import type { Finding } from './finding.ts';
import { countsOf, type LintResult } from './format.ts';

export interface TextOptions {
  readonly paint: (text: string, style: 'red' | 'yellow' | 'dim' | 'bold') => string;
}

/** For people: `file:line:column: error rule: message`, the entry to paste below it, and the totals. */
export function toText(result: LintResult, options: TextOptions): string {
  const lines = result.findings.flatMap((finding) => findingLines(finding, options));
  const moved = result.moved.map(({ name, file, line }) => `Moved ${name} from ${file}, line ${line}.`);
  const kept = result.kept.map(
    ({ name, file, line, reason }) => `Did not move ${name} from ${file}, line ${line}: ${reason}.`,
  );
  return [...lines, ...moved, ...kept, totals(result)].join('\n');
}

function findingLines(
  { severity, file, line, column, rule, message, entry }: Finding,
  { paint }: TextOptions,
): string[] {
  const kind = severity === 'error' ? paint('error', 'red') : paint('warning', 'yellow');
  const head = `${paint(`${file}:${line}:${column}:`, 'bold')} ${kind} ${rule}: ${message}`;
  if (entry === undefined) return [head];
  return [head, ...`${entry},`.split('\n').map((text) => paint(`    ${text}`, 'dim'))];
}

function totals({ findings, files, moved }: LintResult): string {
  const { errors, warnings } = countsOf(findings);
  const fixed = moved.length > 0 ? `, ${moved.length} moved` : '';
  return `${counted(errors, 'error')}, ${counted(warnings, 'warning')}${fixed} in ${counted(files, 'file')}.`;
}
