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
  return nodesIn(tree, 'ColumnRef').map((node) => {
    const { fields = [], location = 0 } = node as {
      fields?: { String?: { sval?: string } }[];
      location?: number;
    };
    return { names: fields.map((field) => field.String?.sval ?? '*'), location };
  });
}

/** The nodes of one kind in a parse tree, such as `ColumnRef`, in the order of the tree. A node comes before those in it. */
export function nodesIn(tree: unknown, kind: string): unknown[] {
  const found: unknown[] = [];
  visitValues(tree, (value, key) => {
    if (key === kind) found.push(value);
  });
  return found;
}

/** The texts in a tree, in its order: names, and the values of constants. */
export function textsIn(tree: unknown): string[] {
  const found: string[] = [];
  visitValues(tree, (value) => {
    if (typeof value === 'string') found.push(value);
  });
  return found;
}

/**
 * Visits each value in a tree with its key, in the order of the tree; the key of the tree itself is empty. A deep tree needs no
 * more stack than a flat one. It runs several times for each statement, so it creates no objects of its own.
 */
export function visitValues(tree: unknown, visit: (value: unknown, key: string) => void): void {
  const values: unknown[] = [tree];
  const keys = [''];
  while (values.length > 0) {
    const value = values.pop();
    visit(value, keys.pop() ?? '');
    if (typeof value !== 'object' || value === null) continue;
    const names = Object.keys(value);
    for (let at = names.length - 1; at >= 0; at -= 1) {
      const name = names[at] ?? '';
      keys.push(name);
      values.push((value as Record<string, unknown>)[name]);
    }
  }
}

/** Fields with positions in the statement: those of nodes, and of lists in brackets. */
const POSITIONS = new Set(['location', 'list_start', 'list_end', 'rexpr_list_start', 'rexpr_list_end']);

/** A parse tree as text, without the positions in the statement. Equal trees have equal texts. */
export function treeText(tree: unknown): string {
  const parts: string[] = [];
  const next: unknown[] = [{ value: tree }];
  for (let one = next.pop(); one !== undefined; one = next.pop()) {
    if (typeof one === 'string') parts.push(one);
    else {
      const { value } = one as { value: unknown };
      if (typeof value !== 'object' || value === null) parts.push(JSON.stringify(value) ?? 'null');
      else next.push(...textsOf(value).reverse());
    }
  }
  return parts.join('');
}

/** The texts and the values (in objects) that the text of an object or a list consists of. */
function textsOf(node: object): (string | { value: unknown })[] {
  if (Array.isArray(node)) return ['[', ...node.flatMap((value: unknown) => [{ value }, ',']), ']'];
  const entries = Object.entries(node).filter(([key, value]) => !POSITIONS.has(key) && value !== undefined);
  return ['{', ...entries.flatMap(([key, value]) => [`${JSON.stringify(key)}:`, { value }, ',']), '}'];
}
