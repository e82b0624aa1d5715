import type { TransactionStmt } from 'libpg-query';
import { wordsAtStart } from '../lexer.ts';
import { ONE_TRANSACTION, type Problem, REMOVE } from './transaction-problem.ts';

const USE_EXCEPTION = 'To handle an error, use a DO block with EXCEPTION.';
const REFUSED = 'PostgreSQL refuses that inside a transaction.';

type TransactionKind = NonNullable<TransactionStmt['kind']>;

/** What each statement would do. */
const EFFECTS: Partial<Record<TransactionKind, string>> = {
  TRANS_STMT_BEGIN: 'BEGIN has no effect inside it, and the COMMIT that follows would end it.',
  TRANS_STMT_START: 'START TRANSACTION has no effect inside it, and the COMMIT that follows would end it.',
  TRANS_STMT_COMMIT:
    'COMMIT (or END) ends it: if a later statement fails, the earlier ones stay, but are not recorded as applied.',
  TRANS_STMT_ROLLBACK:
    'ROLLBACK (or ABORT) undoes this file and the files before it, and they would still be recorded as applied.',
  TRANS_STMT_SAVEPOINT: `SAVEPOINT prepares to undo a part of it. ${USE_EXCEPTION}`,
  TRANS_STMT_RELEASE: `RELEASE ends a SAVEPOINT. ${USE_EXCEPTION}`,
  TRANS_STMT_ROLLBACK_TO: `ROLLBACK TO undoes a part of it, which would still be recorded as applied. ${USE_EXCEPTION}`,
  TRANS_STMT_PREPARE:
    'PREPARE TRANSACTION ends it, and its locks stay until someone commits it or rolls it back.',
  TRANS_STMT_COMMIT_PREPARED: `COMMIT PREPARED ends another transaction. ${REFUSED}`,
  TRANS_STMT_ROLLBACK_PREPARED: `ROLLBACK PREPARED ends another transaction. ${REFUSED}`,
};

/** BEGIN, COMMIT and the others. */
export function transactionControl({ kind = 'TRANS_STMT_COMMIT' }: Pick<TransactionStmt, 'kind'>): Problem {
  const effect = EFFECTS[kind] ?? 'The statement changes it.';
  return { rule: 'transaction-control', message: `${ONE_TRANSACTION} ${effect} ${REMOVE}` };
}

/** Transaction control by its first words. */
const CONTROL_WORDS: readonly (readonly [string, TransactionKind])[] = [
  ['begin', 'TRANS_STMT_BEGIN'],
  ['start transaction', 'TRANS_STMT_START'],
  ['commit prepared', 'TRANS_STMT_COMMIT_PREPARED'],
  ['commit', 'TRANS_STMT_COMMIT'],
  ['end', 'TRANS_STMT_COMMIT'],
  ['rollback prepared', 'TRANS_STMT_ROLLBACK_PREPARED'],
  ['rollback to', 'TRANS_STMT_ROLLBACK_TO'],
  ['rollback', 'TRANS_STMT_ROLLBACK'],
  ['abort', 'TRANS_STMT_ROLLBACK'],
  ['savepoint', 'TRANS_STMT_SAVEPOINT'],
  ['release', 'TRANS_STMT_RELEASE'],
  ['prepare transaction', 'TRANS_STMT_PREPARE'],
];

/** The same for a statement that this parser cannot parse: the server may be able to. Null: it is another statement. */
export function controlByFirstWords(sql: string): Problem | null {
  const text = wordsAtStart(sql, 2).join(' ');
  const found = CONTROL_WORDS.find(([control]) => text === control || text.startsWith(`${control} `));
  return found === undefined ? null : transactionControl({ kind: found[1] });
}
