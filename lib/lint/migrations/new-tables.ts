import type { IndexStmt, RangeVar } from 'libpg-query';
import type { StatementNode } from '../../sql/read-sql.ts';

/** The tables and materialized views that a file makes. */
export class NewTables {
  private readonly permanent = new Set<string>();
  private readonly temporary = new Set<string>();

  note(node: StatementNode): void {
    const made =
      node.CreateStmt?.relation ?? node.CreateTableAsStmt?.into?.rel ?? node.SelectStmt?.intoClause?.rel;
    if (made !== undefined) (isTemporary(made) ? this.temporary : this.permanent).add(keyOf(made));
    for (const element of (node.CreateSchemaStmt?.schemaElts ?? []) as StatementNode[]) this.note(element);
  }

  isNew({ relation }: IndexStmt): boolean {
    return relation !== undefined && this.permanent.has(keyOf(relation));
  }

  /** Gone with its session, so that no registry can hold its indexes. */
  isTemporary({ relation }: IndexStmt): boolean {
    return relation !== undefined && (isTemporary(relation) || this.temporary.has(keyOf(relation)));
  }
}

function isTemporary({ relpersistence, schemaname }: RangeVar): boolean {
  return relpersistence === 't' || schemaname === 'pg_temp';
}

function keyOf({ schemaname = 'public', relname = '' }: RangeVar): string {
  return `${schemaname}.${relname}`;
}
