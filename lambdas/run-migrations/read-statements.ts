import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ShippedStatements,
  STATEMENTS_FILE,
  shippedStatementsSchema,
} from '../shared/migration-statements.ts';

/** Reads what was shipped beside the code. */
export function readStatements(directory: string): ShippedStatements {
  return shippedStatementsSchema.parse(JSON.parse(readFileSync(join(directory, STATEMENTS_FILE), 'utf8')));
}
