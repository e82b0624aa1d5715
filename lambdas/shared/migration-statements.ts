import { z } from 'zod';

/** The file, beside the code of run-migrations, that holds what of each migration is run. */
export const STATEMENTS_FILE = 'migration-statements.json';

export const shippedStatementSchema = z.strictObject({
  sql: z.string(),
  /** Line of its first character in the file. */
  line: z.int().min(1),
  /** It is all of the file, which could not be cut into statements. */
  whole: z.boolean(),
});
export type ShippedStatement = z.infer<typeof shippedStatementSchema>;

/** Statements by the name of the migration. */
export const shippedStatementsSchema = z.record(z.string(), z.array(shippedStatementSchema));
export type ShippedStatements = z.infer<typeof shippedStatementsSchema>;
