import type { Place } from '../places.ts';

/**
 * What is wrong with a statement, by the names of lint's rules:
 *
 * - `transaction-control`: it starts, ends or changes the transaction;
 * - `outside-transaction`: PostgreSQL refuses it inside a transaction;
 * - `session-setting`: after it, the server reads the text of the file differently;
 * - `psql-only`: only psql understands it.
 */
type TransactionRule = 'transaction-control' | 'outside-transaction' | 'session-setting' | 'psql-only';

/** Why a statement cannot run in one transaction with other files. */
export interface Problem {
  readonly rule: TransactionRule;
  /** What it does, why that is wrong, and what to write instead. */
  readonly message: string;
}

/** A problem with its place in the file. */
export interface TransactionProblem extends Problem, Place {}

export const ONE_TRANSACTION = 'The deploy applies all pending files in one transaction.';
export const REMOVE =
  'Remove it. You can do so in an applied file too, because the content of applied files is not compared.';
