import type { RegisteredIndexes } from '../../registry/registered-indexes.ts';
import type { SqlSource } from '../../sources/source.ts';
import type { PsqlCommand } from '../../sql/pieces.ts';
import { commandNotFollowed } from '../../sql/psql-command.ts';
import { readSql, type SqlText } from '../../sql/read-sql.ts';
import { applyStatement } from '../../sql/schema/apply-statement.ts';
import { Schema } from '../../sql/schema/schema.ts';
import { type Allowance, allowancesIn } from '../allow.ts';
import type { Finding } from '../finding.ts';
import { FileLinter, type History } from './file-linter.ts';
import { FunctionBodies } from './function-bodies.ts';
import { Mentions, type Move, whyNotMovable } from './movable.ts';

export interface LintedMigration {
  readonly findings: readonly Finding[];
  readonly allowances: readonly Allowance[];
  readonly moves: readonly Move[];
}

/** Lints migrations in the order in which they are applied: a file may call what an earlier one defined. */
export class MigrationLinter {
  private readonly history: History;
  private readonly mentions = new Mentions();

  constructor(registered: RegisteredIndexes) {
    this.history = { registered, schema: new Schema(), functions: new FunctionBodies() };
  }

  /** What the migrations so far make. */
  get schema(): Schema {
    return this.history.schema;
  }

  lint(source: SqlSource): LintedMigration {
    const { file, text, hasLines } = source;
    const sql = hasLines ? readSql(text) : atItsBeginning(readSql(text));
    // Each file has a session of its own.
    this.schema.defaultSchema = 'public';
    const linted = new FileLinter(source, sql, this.history);
    for (const statement of sql.statements) {
      this.mentions.note(file, statement);
      linted.visit(statement);
      applyStatement(this.schema, file, statement);
      for (const move of linted.moves.slice(-1)) if (move.statement === statement) this.mentions.watch(move);
    }
    return {
      findings: [...linted.findings, ...sql.commands.flatMap((command) => notFollowed(source, sql, command))],
      allowances: allowancesIn(file, sql),
      moves: hasLines ? linted.moves : [],
    };
  }

  /** Why an index cannot be moved, as of all the files so far. Null: it can. */
  whyNotMovable(move: Move): string | null {
    return whyNotMovable(move, this.mentions, this.schema);
  }
}

/** What psql would run, and nobody reads here. */
function notFollowed({ file }: SqlSource, { placeOf }: SqlText, command: PsqlCommand): Finding[] {
  const reason = commandNotFollowed(command);
  if (reason === null) return [];
  const message = `${command.text} is not checked: ${reason}.`;
  return [{ rule: 'unreadable', severity: 'warning', file, ...placeOf(command.start), message }];
}

/** What code wrote has no places of its own in the file. */
function atItsBeginning({ statements }: SqlText): SqlText {
  const start = { line: 1, column: 1 };
  return {
    statements: statements.map((statement) => ({ ...statement, ...start })),
    commands: [],
    placeOf: () => start,
  };
}
