import type { Node } from 'libpg-query';
import { deparseSync } from 'pgsql-deparser';
import { type StatementNode, treeText } from './parse-tree.ts';
import { parseSql } from './parser.ts';

/**
 * A statement as text on one line, without its comments, with the quotes that its names need. The text is parsed again: what the
 * deparser does not know must not get lost.
 * @returns null if the text would not be the same statement
 */
export function statementText(node: StatementNode): string | null {
  try {
    const text = deparseSync(forDeparser(node) as Node, { pretty: false }).trim();
    const [parsed, ...others] = parseSql(text);
    return others.length === 0 && treeText(parsed?.node) === treeText(node) ? text : null;
  } catch {
    // The deparser throws errors without a class for what it does not know, and a deep tree needs too much of its stack.
    return null;
  }
}

/** The deparser prints the schema of the view of REFRESH only if the view is a node with its kind (seen in 18.3.8). */
function forDeparser(node: StatementNode): unknown {
  const { RefreshMatViewStmt: refresh } = node;
  return refresh === undefined
    ? node
    : { RefreshMatViewStmt: { ...refresh, relation: { RangeVar: refresh.relation } } };
}
