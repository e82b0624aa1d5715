import { findSources } from '../sources/find-sources.ts';
import { readSql } from '../sql/read-sql.ts';
import { applyStatement } from '../sql/schema/apply-statement.ts';
import type { SchemaIndex } from '../sql/schema/objects.ts';
import { Schema } from '../sql/schema/schema.ts';
import { type Allowance, allowancesIn } from './allow.ts';
import type { RegistrySchema } from './registry/schema.ts';

/** The schema that SQL files make, and what their comments allow. */
export async function readSchema(
  path: string,
): Promise<{ schema: Schema; allowances: Allowance[]; files: ReadonlySet<string> }> {
  const schema = new Schema();
  const { files } = await findSources(path, undefined);
  const allowances = files.flatMap(({ file, text }) => {
    schema.defaultSchema = 'public';
    const sql = readSql(text);
    for (const statement of sql.statements) applyStatement(schema, file, statement);
    return allowancesIn(file, sql);
  });
  return { schema, allowances, files: new Set(files.map(({ file }) => file)) };
}

/** What the registry's rules ask of a schema. Partitions have what their table has. */
export function registrySchema(schema: Schema): RegistrySchema {
  return {
    tables: schema.tables
      .filter((table) => !table.temporary && table.partitionOf === null)
      .map((table) => ({
        schema: table.schema,
        table: table.name,
        columns: table.columns ?? [],
        foreignKeys: table.foreignKeys.map(({ columns, references, place }) => ({
          ...{ file: place.file, line: place.line, column: place.column },
          columns,
          references: { schema: references.schema, table: references.name },
        })),
        constraintIndexes: schema.indexesOf(table).flatMap(wholeColumns),
      })),
  };
}

/** Those of an index that serves each look-up by its first columns. */
function wholeColumns({ columns, partial, unique, constraint, written }: SchemaIndex): string[][] {
  const isBtree = constraint === null ? written?.statement.accessMethod === 'btree' : unique;
  const named = columns.flatMap((column) => column ?? []);
  return isBtree && !partial && named.length === columns.length ? [named] : [];
}
