import type { Constraint, Node } from 'libpg-query';

/** The constraints of a column. The parser returns DEFERRABLE as a constraint of its own, after the one that it belongs to. */
export function columnConstraints(nodes: readonly Node[] | undefined): Constraint[] {
  const constraints: Constraint[] = [];
  for (const node of nodes ?? []) {
    if (!('Constraint' in node)) continue;
    const last = constraints.at(-1);
    if (isDeferrable(node.Constraint) && last !== undefined) {
      constraints[constraints.length - 1] = { ...last, deferrable: true };
    } else constraints.push(node.Constraint);
  }
  return constraints;
}

/** INITIALLY DEFERRED implies DEFERRABLE. */
function isDeferrable({ contype }: Constraint): boolean {
  return contype === 'CONSTR_ATTR_DEFERRABLE' || contype === 'CONSTR_ATTR_DEFERRED';
}
