import { loadModule, scanSync } from 'libpg-query';

await loadModule();

/*
 * Names for SQL that people read: in double quotes only if PostgreSQL's quote_ident adds them. SQL that the functions run
 * quotes every name (lambdas/postgres/identifiers.ts); that needs no parser.
 */

export function quoteWhereNeeded(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !isReserved(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/**
 * A table with its schema, unless a name without one means the same table.
 * @param first the first schema of the search path. Null: it is unknown
 */
export function quoteTableWhereNeeded(
  { schema, name }: { schema: string; name: string },
  first: string | null = 'public',
): string {
  const table = quoteWhereNeeded(name);
  return schema === first ? table : `${quoteWhereNeeded(schema)}.${table}`;
}

/** Whether a name is a keyword that cannot be used as a name in every position. */
function isReserved(name: string): boolean {
  const keyword = scanSync(name).tokens[0]?.keywordName;
  return keyword !== 'NO_KEYWORD' && keyword !== 'UNRESERVED_KEYWORD';
}
