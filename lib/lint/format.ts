import type { Finding } from './finding.ts';

export const FORMATS = ['text', 'json', 'github'] as const;
export type Format = (typeof FORMATS)[number];

/** What a run of the linter found. */
export interface LintResult {
  readonly findings: readonly Finding[];
  /** Files that were read, the registry's included. */
  readonly files: number;
  /** What `--fix` moved, and from where. */
  readonly moved: readonly MovedIndex[];
  /** What `--fix` left where it is, and why. */
  readonly kept: readonly (MovedIndex & { readonly reason: string })[];
}

export interface MovedIndex {
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

/** For pipelines: `{ files, errors, warnings, findings, moved, kept }`. */
export function toJson(result: LintResult): string {
  const { files, findings, moved, kept } = result;
  return JSON.stringify({ files, ...countsOf(findings), findings, moved, kept }, null, 2);
}

/** GitHub's workflow commands, which show each finding at its line of a pull request. */
export function toGithub({ findings }: LintResult): string {
  return findings
    .map(({ severity, file, line, column, rule, message, entry }) => {
      const place = `file=${property(file)},line=${line},col=${column},title=${property(rule)}`;
      return `::${severity} ${place}::${data(entry === undefined ? message : `${message}\n${entry}`)}`;
    })
    .join('\n');
}

export function countsOf(findings: readonly Finding[]): { errors: number; warnings: number } {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return { errors, warnings: findings.length - errors };
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
