import { findSources } from '../sources/find-sources.ts';
import { readSql } from '../sql/read-sql.ts';
import { applyStatement } from '../sql/schema/apply-statement.ts';
import { Schema } from '../sql/schema/schema-model.ts';
import { type Allowance, allowancesIn } from './allow-comments.ts';
import { encodingFinding } from './encoding-finding.ts';
import type { Finding } from './finding.ts';

interface GivenSchema {
  readonly schema: Schema;
  readonly allowances: readonly Allowance[];
  /** Files that are not UTF-8, which are not read. */
  readonly findings: readonly Finding[];
  readonly files: ReadonlySet<string>;
}

/** The schema that SQL files create, and what the comments in them allow. */
export async function readSchema(path: string): Promise<GivenSchema> {
  const schema = new Schema();
  const { files } = await findSources(path, undefined);
  const allowances = files.flatMap(({ file, text }) => {
    schema.defaultSchema = 'public';
    const sql = readSql(text);
    for (const statement of sql.statements) applyStatement(schema, file, statement);
    return allowancesIn(file, sql);
  });
  return {
    schema,
    allowances,
    findings: files.flatMap(encodingFinding),
    files: new Set(files.map(({ file }) => file)),
  };
}
