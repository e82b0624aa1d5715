import type { SqlStatement } from './read-sql.ts';

/** Words of the statements that begin, end or divide a transaction. The others need not be parsed for it. */
const CONTROLS_TRANSACTION = /\b(?:begin|start|savepoint|rollback|abort|commit|end)\b/i;
const ROLLS_BACK = /\b(?:rollback|abort)\b/i;

/** The statements that ROLLBACK or ROLLBACK TO undoes, with those that begin and end their transaction. */
export function rolledBack(statements: readonly SqlStatement[]): ReadonlySet<SqlStatement> {
  const undone = new Set<SqlStatement>();
  if (!statements.some(({ sql }) => ROLLS_BACK.test(sql))) return undone;
  /** The statements of the transaction that is open. Null: none is. */
  let transaction: SqlStatement[] | null = null;
  const savepoints: { readonly name: string; readonly from: number }[] = [];
  for (const statement of statements) {
    const { kind, savepoint_name: name = '' } = controlOf(statement) ?? {};
    if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') transaction ??= [];
    if (transaction === null) continue;
    transaction.push(statement);
    if (kind === 'TRANS_STMT_SAVEPOINT') savepoints.push({ name, from: transaction.length });
    else if (kind === 'TRANS_STMT_ROLLBACK_TO') {
      const from = savepoints.findLast((one) => one.name === name)?.from ?? transaction.length;
      for (const one of transaction.splice(from)) undone.add(one);
    } else if (kind === 'TRANS_STMT_ROLLBACK' || kind === 'TRANS_STMT_COMMIT') {
      if (kind === 'TRANS_STMT_ROLLBACK') for (const one of transaction) undone.add(one);
      transaction = null;
      savepoints.length = 0;
    }
  }
  return undone;
}

function controlOf(statement: SqlStatement) {
  return CONTROLS_TRANSACTION.test(statement.sql) ? statement.node?.TransactionStmt : undefined;
}
