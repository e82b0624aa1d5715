import type { StatementNode } from '../parse-tree.ts';
import type { SqlToken } from '../tokens.ts';
import type { CodeStatement } from './code-structure.ts';

/** The first words of statements that change tables, indexes or the search path. */
export const CHANGING = ['create', 'alter', 'drop', 'comment', 'set', 'reset', 'call', 'do'];
/** What changes an index, in a text that the code assembles. */
export const CHANGES =
  /\bcreate\s+(?:unique\s+)?index\b|\balter\s+index\b|\b(?:attach|detach)\s+partition\b|\bdrop\s+(?:index|table|schema|view|materialized|column|type|extension)\b|\brename\b|\bset\s+schema\b/i;
export const REMOVES =
  /\balter\s+index\b|\bdrop\s+(?:index|table|schema|view|materialized|column|type|extension)\b|\brename\b|\bset\s+schema\b/i;

export function isRelevant(tokens: readonly SqlToken[]): boolean {
  return CHANGES.test(tokens.map(({ text }) => text).join(' '));
}

export function hasEffect(statements: readonly CodeStatement[]): boolean {
  return statements.some((statement) => {
    if (statement.kind === 'simple') {
      const word = statement.tokens[0]?.text.toLowerCase() ?? '';
      return CHANGING.includes(word) || word === 'execute' || word === 'perform' || raises(statement);
    }
    if (statement.kind === 'branches') return statement.branches.some(({ body }) => hasEffect(body));
    return hasEffect(statement.body);
  });
}

/** Whether a statement raises an error: RAISE without a level below EXCEPTION. */
export function raises(statement: CodeStatement): boolean {
  if (statement.kind !== 'simple') return false;
  const [first, second] = statement.tokens.map(({ text }) => text.toLowerCase());
  return first === 'raise' && !['debug', 'log', 'info', 'notice', 'warning'].includes(second ?? '');
}

/** In lower case. A DO block is in plpgsql unless it says otherwise. */
export function languageOf(node: StatementNode | undefined): string {
  const options = node?.DoStmt?.args ?? node?.CreateFunctionStmt?.options ?? [];
  for (const option of options) {
    if (!('DefElem' in option) || option.DefElem.defname !== 'language') continue;
    const { arg } = option.DefElem;
    return arg !== undefined && 'String' in arg ? (arg.String.sval ?? '').toLowerCase() : '';
  }
  return node?.DoStmt === undefined ? 'sql' : 'plpgsql';
}
