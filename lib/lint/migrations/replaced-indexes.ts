import type { SqlStatement } from '../../sql/read-sql.ts';
import { relationIn } from '../../sql/statements-to-run.ts';

/** The indexes that a file drops and creates again under the same name, to change their definition. */
export class ReplacedIndexes {
  /** For a CREATE INDEX statement, the line of the DROP INDEX statement before it. */
  private readonly dropLines = new Map<SqlStatement, number>();
  /** For a DROP INDEX statement, the names that are created again, and the lines at which that happens. */
  private readonly created = new Map<SqlStatement, { readonly name: string; readonly line: number }[]>();

  constructor(statements: readonly SqlStatement[]) {
    const dropped = new Map<string, SqlStatement>();
    // Most files drop no index, and each statement would be parsed again.
    const about = statements.filter(({ sql }) => /\bindex\b/i.test(sql));
    if (!about.some(({ sql }) => /\bdrop\b/i.test(sql))) return;
    for (const statement of about) {
      const { DropStmt: drop, IndexStmt: index } = statement.node ?? {};
      if (drop?.removeType === 'OBJECT_INDEX')
        for (const object of drop.objects ?? []) dropped.set(relationIn(object).relname ?? '', statement);
      const name = index?.idxname;
      const before = name === undefined ? undefined : dropped.get(name);
      if (name === undefined || before === undefined) continue;
      dropped.delete(name);
      this.dropLines.set(statement, before.line);
      this.created.set(before, [...(this.created.get(before) ?? []), { name, line: statement.line }]);
    }
  }

  /** The line at which the file drops the index before a CREATE INDEX statement. Null: it does not. */
  dropLineOf(statement: SqlStatement): number | null {
    return this.dropLines.get(statement) ?? null;
  }

  /** The indexes of a DROP INDEX statement that the file creates again. */
  createdAfter(statement: SqlStatement): readonly { readonly name: string; readonly line: number }[] {
    return this.created.get(statement) ?? [];
  }
}

/** What happens with an entry that has `onDrift: "rebuild"`. */
export const REBUILDS =
  'With onDrift: "rebuild" the deploy builds the new index next to the old one and then replaces it, so that queries always have one ' +
  'of the two.';
