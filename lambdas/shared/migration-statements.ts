import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from './zod.ts';

/** The file beside the code of run-migrations and preflight with the statements of all migrations. */
export const STATEMENTS_FILE = 'migration-statements.json';

const shippedStatementSchema = z.strictObject({
  sql: z.string(),
  /** Line of its first character in the file. */
  line: z.int().check(z.minimum(1)),
  /** The text is the whole file, because it could not be split into statements. */
  whole: z.boolean(),
});
export type ShippedStatement = z.infer<typeof shippedStatementSchema>;

/** Statements by the name of the migration. */
const shippedStatementsSchema = z.record(z.string(), z.array(shippedStatementSchema));
export type ShippedStatements = z.infer<typeof shippedStatementsSchema>;

/** Reads the statements that were shipped beside the function's code. */
export function readStatements(functionDirectory: string): ShippedStatements {
  return shippedStatementsSchema.parse(
    JSON.parse(readFileSync(join(functionDirectory, STATEMENTS_FILE), 'utf8')),
  );
}
