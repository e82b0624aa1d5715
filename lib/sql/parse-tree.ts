import type { Node } from 'libpg-query';

/** A statement by its kind: `{ IndexStmt: … }` and so on. */
export type StatementNode = Partial<UnionToIntersection<Node>>;

type UnionToIntersection<Union> = (Union extends unknown ? (member: Union) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;

/** The strings in a list of nodes, such as the parts of a name. */
export function stringsIn(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
}

/** A reference to a column in an expression. */
interface ColumnReference {
  /** `['deals', 'status']` for `deals.status`. */
  readonly names: readonly string[];
  /** In bytes of the statement in UTF-8. */
  readonly location: number;
}

/** All references to columns in a parse tree. */
export function columnReferencesIn(tree: unknown): ColumnReference[] {
  if (Array.isArray(tree)) return tree.flatMap(columnReferencesIn);
  if (typeof tree !== 'object' || tree === null) return [];
  return Object.entries(tree).flatMap(([key, value]) => {
    if (key !== 'ColumnRef') return columnReferencesIn(value);
    const { fields = [], location = 0 } = value as {
      fields?: { String?: { sval?: string } }[];
      location?: number;
    };
    return [{ names: fields.map((field) => field.String?.sval ?? '*'), location }];
  });
}
