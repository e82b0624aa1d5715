import type { SqlComment } from '../sql/pieces.ts';
import type { SqlStatement, SqlText } from '../sql/read-sql.ts';
import type { Finding } from './finding.ts';

/** A comment `-- pg-deploy-step: allow RULE reason`, and the lines that it speaks of. */
export interface Allowance {
  readonly rule: string;
  readonly reason: string;
  readonly file: string;
  /** The comment's own place. */
  readonly line: number;
  readonly column: number;
  readonly fromLine: number;
  readonly toLine: number;
}

const DIRECTIVE = /^pg-deploy-step:\s*(?<verb>\S+)?(?:\s+(?<rule>\S+))?(?:\s+(?<reason>[\s\S]*\S))?\s*$/;

/**
 * The allowances in a file. Before a statement or behind it on its line, a comment speaks of the whole statement; within
 * one, of its own line and the next.
 */
export function allowancesIn(file: string, { statements, placeOf }: SqlText): Allowance[] {
  return statements.flatMap((statement) =>
    statement.comments.flatMap((comment) => {
      const directive = DIRECTIVE.exec(comment.text)?.groups;
      // `moved` is what --fix leaves behind.
      if (directive === undefined || directive.verb === 'moved') return [];
      const place = placeOf(comment.start);
      const { verb, rule = '', reason = '' } = directive;
      const lines = linesOf(comment, statement, placeOf);
      return [{ rule: verb === 'allow' ? rule : '', reason, file, ...place, ...lines }];
    }),
  );
}

function linesOf(
  comment: SqlComment,
  statement: SqlStatement,
  placeOf: SqlText['placeOf'],
): { fromLine: number; toLine: number } {
  if (comment.where === 'inside') {
    const { line } = placeOf(comment.start);
    return { fromLine: line, toLine: placeOf(comment.end).line + 1 };
  }
  return { fromLine: statement.line, toLine: placeOf(statement.end).line };
}

/**
 * Leaves out what is allowed, and tells of allowances that say too little or allow nothing.
 * @param rules names of the rules that can be allowed
 * @param isJudged whether this run can tell that an allowance is wrong or useless: its file and its rule were looked at
 */
export function withoutAllowed(
  findings: readonly Finding[],
  allowances: readonly Allowance[],
  rules: readonly string[],
  isJudged: (allowance: Allowance) => boolean = () => true,
): Finding[] {
  const used = new Set<Allowance>();
  const byFile = Map.groupBy(allowances, (allowance) => allowance.file);
  const left = findings.filter((finding) => {
    const allowance = byFile
      .get(finding.file)
      ?.find(
        ({ rule, reason, fromLine, toLine }) =>
          rule === finding.rule && reason !== '' && fromLine <= finding.line && finding.line <= toLine,
      );
    if (allowance !== undefined) used.add(allowance);
    return allowance === undefined;
  });
  const wrong = allowances.filter(isJudged).flatMap((allowance) => {
    const message = wrongWith(allowance, rules) ?? (used.has(allowance) ? undefined : uselessness(allowance));
    if (message === undefined) return [];
    const { file, line, column } = allowance;
    const severity = wrongWith(allowance, rules) === undefined ? 'warning' : 'error';
    return [{ rule: 'allow-comment', severity, file, line, column, message } as const];
  });
  return [...left, ...wrong];
}

function wrongWith({ rule, reason }: Allowance, rules: readonly string[]): string | undefined {
  if (!rules.includes(rule)) {
    const what = rule === '' ? 'It names no rule' : `There is no rule "${rule}"`;
    return `${what}; write -- pg-deploy-step: allow RULE reason, with one of the rules ${rules.join(', ')}.`;
  }
  if (reason === '')
    return `It gives no reason, so nothing is allowed; write -- pg-deploy-step: allow ${rule} and why.`;
  return undefined;
}

function uselessness({ rule }: Allowance): string {
  return `Nothing that it speaks of breaks the rule ${rule}; remove the comment.`;
}
