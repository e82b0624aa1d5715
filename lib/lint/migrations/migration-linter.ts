import { isMarkedOnline } from '../../../lambdas/shared/online-migrations.ts';
import type { RegisteredIndexes } from '../../registry/registered-indexes.ts';
import { sqlOf } from '../../sources/read-source.ts';
import type { SqlSource } from '../../sources/sql-source.ts';
import { KnownObjects } from '../../sql/known-objects.ts';
import { OnlineFile, type OnlineProblem } from '../../sql/online/online-file.ts';
import { type PsqlCommand, unknownEffect } from '../../sql/psql-commands.ts';
import { readSql, type SqlText } from '../../sql/read-sql.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import { keyOf } from '../../sql/schema/schema-objects.ts';
import { commandProblems, inOrder, problemsOf } from '../../sql/transaction/transaction-problems.ts';
import { type Allowance, allowancesIn } from '../allow-comments.ts';
import type { Finding } from '../finding.ts';
import { encodingFinding } from '../source-findings.ts';
import { type AddedConstraint, neededConstraintMessage } from './added-constraints.ts';
import { FileLinter, type FoundConstraint, type History } from './file-linter.ts';
import { staysMessage } from './index-statement-problems.ts';
import { LaterUses, soughtIndex } from './later-uses.ts';
import { type Move, type Obstacle, obstacleOf, obstacleOfUse } from './movable-index.ts';
import { markFindings } from './online-marks.ts';

export interface LintedMigration {
  readonly findings: readonly Finding[];
  readonly allowances: readonly Allowance[];
  readonly moves: readonly Move[];
  readonly constraints: readonly FoundConstraint[];
}

/** Lints migrations in the order in which they are applied, because a file can call functions of an earlier one. */
export class MigrationLinter {
  private readonly history: History;
  private readonly laterUses = new LaterUses();

  /** @param searchPath of the sessions that apply the migrations @default public */
  constructor(registered: RegisteredIndexes, searchPath?: readonly string[]) {
    this.history = { registered, known: new KnownObjects(searchPath) };
  }

  /** The schema that the migrations so far create. */
  get schema(): Schema {
    return this.history.known.schema;
  }

  /** @param inOneTransaction whether the runner sql would apply the file @default false */
  lint(source: SqlSource, inOneTransaction = false): LintedMigration {
    const { file, text, hasLines, encodingProblem } = source;
    if (encodingProblem != null)
      return { findings: encodingFinding(source), allowances: [], moves: [], constraints: [] };
    const sql = hasLines || source.origin !== undefined ? sqlOf(source) : atFirstLine(text);
    // Each file runs in a session of its own.
    this.schema.startSession();
    const linted = new FileLinter(source, sql, this.history);
    const { known } = this.history;
    const refused = inOneTransaction ? commandProblems(sql) : [];
    const online = inOneTransaction && isMarkedOnline(text) ? new OnlineFile(file, this.history.known) : null;
    const notOnline: OnlineProblem[] = [];
    for (const statement of sql.statements) {
      const before = linted.constraints.length;
      this.laterUses.record(file, statement, known.schema);
      linted.visit(statement);
      if (inOneTransaction) refused.push(...problemsOf(statement, sql, known));
      if (online !== null) notOnline.push(...online.problemsOf(statement));
      known.apply(file, statement);
      for (const { entry, statement: created } of linted.moves.slice(-1)) {
        const sought = soughtIndex(statement.node?.IndexStmt, known.schema);
        if (created === statement)
          this.laterUses.add({ name: entry.name, owner: statement }, sought, known.schema);
      }
      for (const { added } of linted.constraints.slice(before)) this.recordUsesOf(added);
    }
    linted.finish();
    return {
      findings: [
        ...linted.findings,
        ...markFindings(source, sql, inOneTransaction),
        ...notOnline.map(
          (problem): Finding => ({ rule: 'online-migration', severity: 'error', file, ...problem }),
        ),
        ...(inOneTransaction
          ? inOrder(refused).problems.map((problem): Finding => ({ severity: 'error', file, ...problem }))
          : sql.commands.flatMap((command) => unknownCommand(file, sql, command))),
      ],
      allowances: allowancesIn(file, sql),
      moves: hasLines ? linted.moves : [],
      constraints: linted.constraints,
    };
  }

  private recordUsesOf(added: AddedConstraint): void {
    const { schema } = this.history.known;
    const { name, kind, columns } = added;
    const table = keyOf(added.table);
    const sought = { table, columns, expressions: [], partial: false, primary: kind === 'primary key' };
    this.laterUses.add({ name, owner: added }, kind === 'exclusion' ? null : sought, schema);
  }

  /** The finding about a constraint, given all files so far. */
  finalFindingOfConstraint({ added, finding }: FoundConstraint): Finding {
    const use = this.laterUses.of(added);
    if (use === undefined) return finding;
    const message = neededConstraintMessage(added, obstacleOfUse(use).reason);
    return { ...finding, severity: 'warning', message, entry: undefined };
  }

  /** Why an index cannot move, given all files so far. Null: it can. */
  obstacleOf(move: Move): Obstacle | null {
    return obstacleOf(move, this.laterUses, this.schema);
  }

  /** The finding about a statement, given all files so far. Null: the statement is right where it is. */
  finalFinding(move: Move): Finding | null {
    const obstacle = this.obstacleOf(move);
    if (obstacle === null || obstacle.isExplained) return move.finding;
    const message = staysMessage(move.created, obstacle.reason, obstacle.needed);
    if (message === null) return null;
    const severity = obstacle.needed ? 'warning' : move.finding.severity;
    return { ...move.finding, severity, message, entry: undefined };
  }
}

function unknownCommand(file: string, { placeOf }: SqlText, command: PsqlCommand): Finding[] {
  const reason = unknownEffect(command);
  if (reason === null) return [];
  const message = `${command.text} is not checked: ${reason}.`;
  return [{ rule: 'unreadable', severity: 'warning', file, ...placeOf(command.start), message }];
}

/** Places every statement at the first line: SQL that code generates has no lines in the file. */
function atFirstLine(text: string): SqlText {
  const start = { line: 1, column: 1 };
  return { ...readSql(text, () => start), commands: [] };
}
