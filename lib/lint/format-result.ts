import { counted, listed } from '../../lambdas/shared/text.ts';
import { oneLine, visible, visibleJson, visibleLines } from '../../lambdas/shared/visible-text.ts';
import { githubAnnotation } from '../files/github-annotation.ts';
import { inWords, type OtherDialect } from '../sources/dialects.ts';
import type { Finding } from './finding.ts';

export const FORMATS = ['text', 'json', 'github'] as const;
export type Format = (typeof FORMATS)[number];

/** The result of one run of the linter. */
export interface LintResult {
  readonly findings: readonly Finding[];
  /** Number of files that were read, including the registry. */
  readonly files: number;
  /** Migrations that are code and were not run (`--no-code`). */
  readonly notRun: readonly string[];
  /** The files for other databases beside the migrations, which are not checked. @default none */
  readonly dialects?: readonly OtherDialect[];
  /** The indexes that `--fix` moved, and their old places. */
  readonly moved: readonly MovedIndex[];
  /** The indexes that `--fix` did not move, and why. */
  readonly kept: readonly (MovedIndex & { readonly reason: string })[];
}

export interface MovedIndex {
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

export function countsOf(findings: readonly Finding[]): { errors: number; warnings: number } {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return { errors, warnings: findings.length - errors };
}

interface TextOptions {
  readonly paint: (text: string, style: 'red' | 'yellow' | 'dim' | 'bold') => string;
}

/** For people: `file:line:column: error rule: message`, the entry to paste below it, and the totals. */
export function toText(result: LintResult, options: TextOptions): string {
  return [...textLines(result, options)].join('\n');
}

/** The same, line by line: of a large migration, the text of all findings is as large as the migration. */
export function* textLines(result: LintResult, options: TextOptions): Generator<string> {
  for (const finding of result.findings) yield* findingLines(finding, options);
  for (const { name, file, line } of result.moved) yield visible(`Moved ${name} from ${file}, line ${line}.`);
  for (const { name, file, line, reason } of result.kept)
    yield visible(`Did not move ${name} from ${file}, line ${line}: ${reason}.`);
  yield* notRun(result);
  yield* (result.dialects ?? []).map(inWords);
  yield totals(result);
}

function findingLines(
  { severity, file, line, column, rule, message, entry }: Finding,
  { paint }: TextOptions,
): string[] {
  const kind = severity === 'error' ? paint('error', 'red') : paint('warning', 'yellow');
  const head = `${paint(`${visible(file)}:${line}:${column}:`, 'bold')} ${kind} ${visible(rule)}: ${oneLine(message)}`;
  if (entry === undefined) return [head];
  return [head, ...`${entry},`.split('\n').map((text) => paint(`    ${text}`, 'dim'))];
}

function notRun({ notRun: files }: LintResult): string[] {
  if (files.length === 0) return [];
  const names = listed(files.map((file) => visible(file)));
  return [`Not checked, because --no-code runs no code: ${counted(files.length, 'migration')}: ${names}.`];
}

function totals({ findings, files, moved }: LintResult): string {
  const { errors, warnings } = countsOf(findings);
  const fixed = moved.length > 0 ? `, ${moved.length} moved` : '';
  return `${counted(errors, 'error')}, ${counted(warnings, 'warning')}${fixed} in ${counted(files, 'file')}.`;
}

/** For pipelines: `{ files, errors, warnings, findings, moved, kept, notRun, dialects }`. */
export function toJson(result: LintResult): string {
  const { files, findings, moved, kept, notRun: codeFiles, dialects } = result;
  return visibleJson({ files, ...countsOf(findings), findings, moved, kept, notRun: codeFiles, dialects }, 2);
}

/** Workflow commands for GitHub, which shows each finding at its line of a pull request. */
export function toGithub({ findings }: LintResult): string {
  return findings
    .map(({ severity, file, line, column, rule, message, entry }) => {
      const head = oneLine(message);
      const text = entry === undefined ? head : `${head}\n${visibleLines(entry)}`;
      return githubAnnotation({ severity, file, line, column, title: rule, text });
    })
    .join('\n');
}
