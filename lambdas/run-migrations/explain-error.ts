import {
  ACTIVE_SQL_TRANSACTION,
  describeDatabaseError,
  INVALID_TRANSACTION_TERMINATION,
  sqlstateOf,
  UNTRANSLATABLE_CHARACTER,
} from '../postgres/sqlstate.ts';

const ONE_TRANSACTION = 'The deploy applies all pending files in one transaction';

/** Errors whose reason is how the files are applied. */
const REASONS: Readonly<Record<string, string>> = {
  [INVALID_TRANSACTION_TERMINATION]: `${ONE_TRANSACTION}, so code in a migration cannot commit or roll back. Remove that from the code.`,
  [ACTIVE_SQL_TRANSACTION]: `${ONE_TRANSACTION}. Run this statement yourself, outside of a migration.`,
  [UNTRANSLATABLE_CHARACTER]: "Use only characters that the database's encoding has.",
};

/** The server's message for the error of a migration, with the reason if the way in which files are applied is the reason. */
export function explainError(error: unknown): string {
  const reason = REASONS[sqlstateOf(error) ?? ''];
  const message = describeDatabaseError(error);
  return reason === undefined ? message : `${message}. ${reason}`;
}
