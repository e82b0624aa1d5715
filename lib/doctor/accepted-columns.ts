import { allowedLinesOf } from '../lint/allow-comments.ts';
import { lintMigrations } from '../lint/lint-migrations.ts';
import type { AcceptedForeignKeys } from '../lint/registry/accepted-foreign-keys.ts';
import { RegisteredIndexes } from '../registry/registered-indexes.ts';
import type { PlaceholderValues } from '../sources/sql-source.ts';
import type { AcceptsColumns } from './missing-indexes.ts';

interface AcceptedSources {
  /** Migrations whose comments allow foreign keys without an index. Empty: none. */
  readonly migrations: readonly string[];
  /** `lint.acceptedForeignKeys` of cdk.json. */
  readonly configured: AcceptedForeignKeys;
  readonly runCode: boolean;
  readonly placeholders: PlaceholderValues;
  readonly searchPath?: readonly string[] | undefined;
}

const RULE = 'foreign-key-without-index';

/**
 * What `lint` accepts without an index, `doctor` accepts too: foreign keys in the configuration, and those with a comment in a
 * migration.
 */
export async function acceptedColumns({
  migrations,
  configured,
  ...reading
}: AcceptedSources): Promise<AcceptsColumns> {
  const allowed = new Set(migrations.length === 0 ? [] : await allowedInMigrations(migrations, reading));
  return (table, columns) =>
    configured.accepts({ schema: table.schema, name: table.table }, columns) ||
    allowed.has(keyOf(table.schema, table.table, columns));
}

async function allowedInMigrations(
  paths: readonly string[],
  reading: Omit<AcceptedSources, 'migrations' | 'configured'>,
): Promise<string[]> {
  const { schema, allowances } = await lintMigrations({
    ...{ paths, ...reading, startAfter: null },
    registered: new RegisteredIndexes([]),
    onProgress: () => undefined,
  });
  const byFile = Map.groupBy(allowances, ({ file }) => file);
  const isAllowed = new Map([...byFile].map(([file, some]) => [file, allowedLinesOf(RULE, some)]));
  return schema.registryTables.flatMap((table) =>
    table.foreignKeys.flatMap(({ columns, place }) =>
      isAllowed.get(place.file)?.(place.line) === true ? keyOf(table.schema, table.name, columns) : [],
    ),
  );
}

function keyOf(schema: string, table: string, columns: readonly string[]): string {
  return JSON.stringify([schema, table, columns.toSorted()]);
}
