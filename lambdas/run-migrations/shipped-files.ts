import { type MigrationFailure, migrationFailureSchema } from '../shared/migration-runner.ts';
import type { ShippedStatements } from '../shared/migration-statements.ts';
import { linesBefore } from '../shared/text.ts';

/**
 * Finds a pending file that cannot be applied as it was shipped. Synth refuses such files; this one came into the function in
 * another way. Null: there is none.
 */
export function shippedFileProblem(
  pending: readonly string[],
  statements: ShippedStatements,
): MigrationFailure | null {
  for (const file of pending) {
    const shipped = statements[file];
    if (shipped === undefined) {
      return failure({
        file,
        message:
          'its statements are missing in the deployed function, so it was not checked. Run cdk deploy.',
      });
    }
    const wrong = shipped.find(({ sql }) => sql.includes('\0'));
    if (wrong !== undefined) {
      const line = wrong.line + linesBefore(wrong.sql, wrong.sql.indexOf('\0'));
      return failure({
        file,
        line,
        message: 'a NUL byte, which PostgreSQL accepts in no statement. Remove it.',
      });
    }
  }
  return null;
}

function failure(fields: { file: string; line?: number; message: string }): MigrationFailure {
  return migrationFailureSchema.parse({ sqlstate: null, ...fields });
}
