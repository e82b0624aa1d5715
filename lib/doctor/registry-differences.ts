import type { Examined } from '../../lambdas/postgres/examined-index.ts';
import { OWN_PREFIX } from '../../lambdas/postgres/index-names.ts';
import type { LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import { humanSize } from '../../lambdas/shared/human-units.ts';
import { indexId, tableId } from '../../lambdas/shared/registry.ts';
import { entryFromStatement } from '../registry/entry-from-statement.ts';
import { quoteTableWhereNeeded, quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import { readSql } from '../sql/read-sql.ts';
import { type Finding, finding } from './finding.ts';
import { IndexTotals } from './index-totals.ts';
import type { LiveDatabase } from './live-database.ts';
import { RegisteredState } from './registry-state.ts';

/**
 * Finds entries of the registry that the database has not, or with another definition, and indexes of the database that the registry
 * has not. An index with the definition of an entry and another name is that of the entry.
 */
export function registryDifferences(live: LiveDatabase): Finding[] {
  const { registry } = live;
  if (registry === null) return [];
  const registered = new RegisteredState(registry);
  const totals = new IndexTotals(live);
  return [
    ...registry.examined.flatMap((one) => notInDatabase(live, one)),
    ...live.indexes.flatMap((index): Finding[] => {
      if (registered.entryOf(index) !== undefined || !isPerformanceIndex(index)) return [];
      return [notInRegistry(live, index, totals.bytesOf(index))];
    }),
  ];
}

function notInDatabase(
  live: LiveDatabase,
  { index, state, detail, locked, notCompared, notBuildable }: Examined,
): Finding[] {
  // An invalid one is a finding of its own.
  if (state !== 'missing' && state !== 'drifted') return [];
  const table = quoteTableWhereNeeded({ schema: index.schema, name: index.table }, live.firstSchema);
  const statement = `create ${index.unique ? 'unique ' : ''}index concurrently if not exists ${quoteWhereNeeded(index.name)} on ${table} ${index.definition}`;
  const missing = `The registry has it, and ${tableId(index)} has no such index. The next deploy builds it.`;
  const isUnknown = locked || notCompared !== null;
  return [
    finding({
      kind: 'not-in-database',
      ...{ schema: index.schema, table: index.table, index: index.name },
      columns: index.references.columns,
      evidence:
        (state === 'drifted'
          ? `The registry has another definition: ${index.definition}. In the database it is: ${detail ?? 'unknown'}.`
          : missing) +
        (notBuildable === null ? '' : ` It cannot be built: ${notBuildable.message}`) +
        (notCompared === null ? '' : ` ${notCompared}`),
      fix:
        state === 'drifted'
          ? "Give the entry onDrift: 'rebuild' and deploy, or write the definition of the database into the registry."
          : `${statement};`,
      confidence: isUnknown ? 'medium' : 'high',
      weight: index.critical ? 1 : 0,
    }),
  ];
}

/** Not the index of a constraint, and no part of another index. */
function isPerformanceIndex(index: LiveIndex): boolean {
  return (
    index.constraint === null &&
    index.foreignKeys === 0 &&
    !index.attached &&
    (index.valid || index.partitioned) &&
    !index.name.startsWith(OWN_PREFIX)
  );
}

function notInRegistry(live: LiveDatabase, index: LiveIndex, bytes: number): Finding {
  const sql = live.texts.get(index.oid)?.statement;
  const statement = sql === undefined ? undefined : readSql(sql).statements[0]?.node?.IndexStmt;
  const entry =
    sql === undefined || statement === undefined
      ? null
      : entryFromStatement(
          { sql, statement },
          {
            name: index.name,
            description: 'Found in the live database. Describe what uses this index.',
            table: { schema: index.schema, name: index.table },
            firstSchema: live.firstSchema,
          },
        );
  return finding({
    kind: 'not-in-registry',
    ...{ schema: index.schema, table: index.table, index: index.name },
    columns: live.texts.get(index.oid)?.keys ?? index.keys.flatMap((key) => key ?? []),
    evidence: `${indexId(index)}${bytes === 0 ? '' : ` (${humanSize(bytes)})`} is in the database and not in the registry. A new database would not have it.`,
    fix:
      entry === null
        ? 'Add an entry for it to the registry.'
        : `Add it to the registry, for example with import --out: ${entry.sql.replaceAll(/\s+/g, ' ')}`,
    confidence: 'high',
    entry,
    weight: bytes,
  });
}
