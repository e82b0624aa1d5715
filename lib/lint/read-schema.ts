import { findSources } from '../sources/find-sources.ts';
import { sqlOf } from '../sources/read-source.ts';
import type { SourceReading } from '../sources/sql-source.ts';
import { applyStatement } from '../sql/schema/apply-statement.ts';
import { Schema } from '../sql/schema/schema-model.ts';
import { type Allowance, allowancesIn } from './allow-comments.ts';
import type { Finding } from './finding.ts';
import { encodingFinding, filesNotRun, skippedFinding } from './source-findings.ts';

interface GivenSchema {
  readonly schema: Schema;
  readonly allowances: readonly Allowance[];
  /** Files that are not UTF-8, and code that was not run: they are not read. */
  readonly findings: readonly Finding[];
  readonly files: ReadonlySet<string>;
  /** Files that are code and were not run. */
  readonly notRun: readonly string[];
}

/**
 * The schema that SQL files create, and what the comments in them allow.
 */
export async function readSchema(
  path: string,
  reading: SourceReading = {},
  searchPath?: readonly string[],
): Promise<GivenSchema> {
  const schema = new Schema(searchPath);
  const { files, skipped } = await findSources(path, reading);
  const allowances = files.flatMap((source) => {
    const { file } = source;
    schema.startSession();
    const sql = sqlOf(source);
    for (const statement of sql.statements) applyStatement(schema, file, statement);
    return allowancesIn(file, sql);
  });
  return {
    schema,
    allowances,
    findings: [
      ...files.flatMap(encodingFinding),
      ...skipped.filter(({ isCode }) => isCode).map(skippedFinding),
    ],
    notRun: filesNotRun(skipped),
    files: new Set(files.map(({ file }) => file)),
  };
}
