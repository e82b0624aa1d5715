import type { IndexStmt, Node } from 'libpg-query';
import type { References } from '../../lambdas/shared/registry.ts';
import { columnReferencesIn, nodesIn, stringsIn } from '../sql/parse-tree.ts';

/** What the definition of an index names. PostgreSQL's own parser tells columns, functions and types apart. */
export function referencesOf(statement: IndexStmt): References {
  const params = [...(statement.indexParams ?? []), ...(statement.indexIncludingParams ?? [])];
  const elements = params.flatMap((node) => ('IndexElem' in node ? [node.IndexElem] : []));
  const tree = [...params, statement.whereClause];
  return {
    method: statement.accessMethod ?? 'btree',
    columns: unique([
      ...elements.flatMap(({ name }) => name ?? []),
      ...columnReferencesIn(tree).flatMap(({ names }) => columnOf(names)),
    ]),
    functions: names(tree, 'FuncCall', 'funcname'),
    types: names(tree, 'typeName', 'names'),
    collations: uniqueNames([
      ...elements.map(({ collation }) => stringsIn(collation)),
      ...names(tree, 'CollateClause', 'collname'),
    ]),
    operatorClasses: uniqueNames(elements.map(({ opclass }) => stringsIn(opclass))),
  };
}

/** `email` and `users.email` name a column, `users.*` does not. */
function columnOf(parts: readonly string[]): string[] {
  const last = parts.at(-1);
  return last === undefined || last === '*' ? [] : [last];
}

/** The names in all nodes of one kind, or in all fields of one name. */
function names(tree: unknown, kind: string, field: string): string[][] {
  return uniqueNames(nodesIn(tree, kind).map((node) => stringsIn((node as Record<string, Node[]>)[field])));
}

function uniqueNames(all: readonly string[][]): string[][] {
  const named = all.filter((parts) => parts.length > 0);
  return [...new Map(named.map((parts) => [JSON.stringify(parts), parts])).values()];
}

function unique(all: readonly string[]): string[] {
  return [...new Set(all)];
}
