import { type LintRule, REGISTRY_RULES } from '../registry/registry-rules.ts';
import type { SourcePlace } from '../sql/places.ts';
import type { SqlStatement, SqlText } from '../sql/read-sql.ts';
import type { SqlComment } from '../sql/sql-piece.ts';
import type { Finding } from './finding.ts';
import { MIGRATION_RULES } from './migrations/migration-rules.ts';

/** A comment `-- pg-deploy-step: allow RULE reason`: its place, and the lines to which it applies. */
export interface Allowance extends SourcePlace {
  readonly rule: string;
  readonly reason: string;
  readonly fromLine: number;
  readonly toLine: number;
}

const DIRECTIVE = /^pg-deploy-step:\s*(?<verb>\S+)?(?:\s+(?<rule>\S+))?(?:\s+(?<reason>[\s\S]*\S))?\s*$/;

/** Rules that a comment in a migration can allow. */
const ALLOWABLE_RULES = Object.entries<LintRule>({ ...MIGRATION_RULES, ...REGISTRY_RULES }).flatMap(
  ([name, rule]) => (rule.acceptedIn === 'comment' ? [name] : []),
);

/**
 * The allowances in a file. A comment before a statement, or after it on its line, applies to the whole statement. A comment
 * inside a statement applies to its own line and the next.
 */
export function allowancesIn(file: string, { statements, placeOf }: SqlText): Allowance[] {
  return statements.flatMap((statement) =>
    statement.comments.flatMap((comment) => {
      const directive = DIRECTIVE.exec(comment.text)?.groups;
      // --fix leaves comments with `moved`. online-marks.ts checks those with `online`.
      if (directive === undefined || directive.verb === 'moved' || directive.verb === 'online') return [];
      const place = placeOf(comment.start);
      const { verb, rule = '', reason = '' } = directive;
      const lines = linesOf(comment, statement, placeOf);
      return [{ rule: verb === 'allow' ? rule : '', reason, file, ...place, ...lines }];
    }),
  );
}

/** Whether a comment allows a rule in a line. A comment that gives no reason allows nothing. */
export function allowedLinesOf(rule: string, allowances: readonly Allowance[]): (line: number) => boolean {
  const valid = allowances.filter((one) => one.rule === rule && errorIn(one) === undefined);
  return (line) => valid.some(({ fromLine, toLine }) => fromLine <= line && line <= toLine);
}

/** The comments that are to mark a file as online. */
export function onlineCommentsIn({ statements }: SqlText): (SqlComment & { readonly isFirst: boolean })[] {
  return statements.flatMap((statement, at) =>
    statement.comments
      .filter(({ text }) => DIRECTIVE.exec(text)?.groups?.verb === 'online')
      .map((comment) => ({ ...comment, isFirst: at === 0 && comment.where === 'before' })),
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
 * Removes the findings that a comment allows, and adds findings about comments that are wrong or allow nothing.
 * @param isChecked whether this run checks the file and the rule of a comment, and so can decide if the comment is needed
 */
export function withoutAllowed(
  findings: readonly Finding[],
  allowances: readonly Allowance[],
  isChecked: (allowance: Allowance) => boolean = () => true,
): Finding[] {
  const used = new Set<Allowance>();
  const lines = allowedLines(allowances.filter((allowance) => errorIn(allowance) === undefined));
  const left = findings.filter(({ file, rule, line }) => {
    const allowance = lines.get(keyOf({ file, rule }))?.get(line);
    if (allowance !== undefined) used.add(allowance);
    return allowance === undefined;
  });
  const wrong = allowances.filter(isChecked).flatMap((allowance) => {
    const { rule, file, line, column } = allowance;
    const error = errorIn(allowance);
    if (error === undefined && used.has(allowance)) return [];
    const message =
      error ?? `The comment allows ${rule}, but nothing here breaks that rule. Remove the comment.`;
    const severity = error === undefined ? 'warning' : 'error';
    return [{ rule: 'allow-comment', severity, file, line, column, message } as const];
  });
  return [...left, ...wrong];
}

/** The allowance for each line, by file and rule. Of several for one line, the first. */
function allowedLines(allowances: readonly Allowance[]): Map<string, Map<number, Allowance>> {
  const groups = [...Map.groupBy(allowances, keyOf)];
  return new Map(
    groups.map(([key, group]) => {
      const first = new Map<number, Allowance>();
      // Each line is filled once: from a filled line, `after` leads to the next one that may be empty.
      const after = new Map<number, number>();
      for (const allowance of group) {
        let line = allowance.fromLine;
        while (line <= allowance.toLine) {
          const next = after.get(line);
          if (next === undefined) first.set(line, allowance);
          after.set(line, Math.max(next ?? line + 1, allowance.toLine + 1));
          line = next ?? line + 1;
        }
      }
      return [key, first];
    }),
  );
}

function keyOf({ file, rule }: Pick<Allowance, 'file' | 'rule'>): string {
  return JSON.stringify([file, rule]);
}

function errorIn({ rule, reason }: Pick<Allowance, 'rule' | 'reason'>): string | undefined {
  if (!ALLOWABLE_RULES.includes(rule)) {
    const what = rule === '' ? 'The comment names no rule' : `A comment cannot allow a rule "${rule}"`;
    return `${what}. Write -- pg-deploy-step: allow RULE REASON, with one of these rules: ${ALLOWABLE_RULES.join(', ')}.`;
  }
  if (reason === '')
    return `The comment gives no reason, so it allows nothing. Write -- pg-deploy-step: allow ${rule} REASON.`;
  return undefined;
}
