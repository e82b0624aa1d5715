import type { IndexElem, IndexStmt } from 'libpg-query';
import { MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import type { CompiledConstraint } from '../../lambdas/shared/registry.ts';
import { listed } from '../../lambdas/shared/text.ts';
import type { EntryConstraint } from './define-indexes.ts';
import type { RegistryRuleName } from './registry-rules.ts';

interface ConstraintProblem {
  readonly rule: RegistryRuleName;
  readonly field: 'constraint' | 'constraint.name' | 'sql' | 'onDrift';
  readonly message: string;
}

/** An entry with a constraint, whose statement has no problem. */
interface ConstraintEntry {
  readonly constraint: EntryConstraint;
  readonly onDrift: 'report' | 'rebuild';
  readonly statement: IndexStmt;
}

/**
 * Checks that PostgreSQL can add the constraint with the index of the entry, so that no index is built for nothing.
 * @see https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX
 */
export function compileConstraint(
  entry: ConstraintEntry,
):
  | { readonly constraint: CompiledConstraint; readonly problems: readonly [] }
  | { readonly constraint: null; readonly problems: readonly ConstraintProblem[] } {
  const { constraint, statement } = entry;
  const keys = elements(statement.indexParams);
  const problems = [...entryProblems(entry), ...indexProblems(entry, keys)];
  if (problems.length > 0) return { constraint: null, problems };
  const names = (some: readonly IndexElem[]) => some.flatMap(({ name }) => name ?? []);
  return {
    problems: [],
    constraint: {
      name: constraint.name,
      type: constraint.type,
      columns: names(keys),
      include: names(elements(statement.indexIncludingParams)),
      nullsNotDistinct: statement.nulls_not_distinct ?? false,
    },
  };
}

function entryProblems({ constraint, onDrift }: ConstraintEntry): ConstraintProblem[] {
  const problems: ConstraintProblem[] = [];
  const bytes = Buffer.byteLength(constraint.name);
  if (bytes > MAX_IDENTIFIER_BYTES) {
    const message = `it has ${bytes} bytes, and PostgreSQL truncates names to ${MAX_IDENTIFIER_BYTES} bytes; shorten it`;
    problems.push({ rule: 'constraint', field: 'constraint.name', message });
  }
  if (onDrift === 'rebuild') {
    const message =
      'a deploy does not replace a constraint, because foreign keys can depend on it; remove onDrift, and to change the ' +
      'columns give the new constraint a new name and drop the old one in a migration';
    problems.push({ rule: 'constraint', field: 'onDrift', message });
  }
  return problems;
}

function indexProblems(
  { constraint: { type }, statement }: ConstraintEntry,
  keys: readonly IndexElem[],
): ConstraintProblem[] {
  const reasons: string[] = [];
  const method = statement.accessMethod ?? 'btree';
  if (statement.unique !== true)
    reasons.push(
      `the index is not unique; write create unique index concurrently if not exists ${statement.idxname}`,
    );
  if (method !== 'btree') reasons.push(`the index uses ${method}; remove USING, because it must be a B-tree`);
  if (statement.whereClause !== undefined)
    reasons.push('the index has a WHERE clause, and a constraint applies to all rows; remove WHERE');
  if (keys.some(({ expr }) => expr !== undefined))
    reasons.push('the index has an expression; name only columns');
  const unusual = keys.filter((key) => key.expr === undefined && !hasDefaultOrder(key));
  if (unusual.length > 0)
    reasons.push(
      `column ${namesOf(unusual)} has a collation, an operator class or a sort order of its own; remove DESC, NULLS FIRST, COLLATE ` +
        'and the operator class, because the index of a constraint has the defaults of its columns',
    );
  const repeated = keys.filter(
    ({ name }, at) => name !== undefined && keys.findIndex((key) => key.name === name) < at,
  );
  if (repeated.length > 0) reasons.push(`column ${namesOf(repeated)} is listed twice; list it once`);
  if (type === 'primary key' && statement.nulls_not_distinct === true)
    reasons.push('the columns of a primary key are never NULL; remove NULLS NOT DISTINCT');
  return reasons.map((reason) => ({
    rule: 'constraint',
    field: 'sql',
    message: `it cannot be the index of a ${type === 'unique' ? 'unique constraint' : 'primary key'}: ${reason}`,
  }));
}

function hasDefaultOrder({ collation, opclass, opclassopts, ordering, nulls_ordering }: IndexElem): boolean {
  return (
    collation === undefined &&
    opclass === undefined &&
    opclassopts === undefined &&
    ordering !== 'SORTBY_DESC' &&
    nulls_ordering !== 'SORTBY_NULLS_FIRST'
  );
}

function namesOf(keys: readonly IndexElem[]): string {
  return listed(keys.map(({ name }) => `"${name}"`));
}

function elements(params: IndexStmt['indexParams']): IndexElem[] {
  return (params ?? []).flatMap((node) => ('IndexElem' in node ? [node.IndexElem] : []));
}
