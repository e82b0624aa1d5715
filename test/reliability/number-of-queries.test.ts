import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import type { TestDatabase } from '../support/database.ts';
import { numberOfQueries } from '../support/number-of-queries.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

/** Entries of one table, after "on TABLE". Most say the same in other words than the catalog. */
const FORMS = [
  '(tenant_id, "createdAt" desc)',
  'using BTREE (deleted_at) include (tenant_id) where deleted_at is not null',
  "(lower(email)) where status in ('open', 'held')",
  '(email varchar_pattern_ops) where not archived',
  'using gin (tags) with (fastupdate = off)',
];
const PARTITIONED = 5;

interface Registry {
  readonly tables: number;
  readonly entries: readonly IndexEntry[];
}

/** As many tables as a fifth of the entries. Every 20th table is partitioned. */
function registryOf(count: number): Registry {
  const tables = count / FORMS.length;
  return {
    tables,
    entries: Array.from({ length: count }, (_, at) => ({
      name: `idx_${at}`,
      sql: `create index concurrently if not exists idx_${at} on ${tableOf(Math.floor(at / FORMS.length))} ${FORMS[at % FORMS.length]}`,
      description: 'of a test',
    })),
  };
}

const tableOf = (at: number) => (at % 20 === 0 ? `parts_${at}` : `orders_${at}`);

function createTables({ tables }: Registry): string {
  return Array.from({ length: tables }, (_, at) => {
    const name = tableOf(at);
    const columns = `id int, tenant_id int, "createdAt" timestamptz, deleted_at timestamptz, email varchar(80), status text,
      archived boolean, tags text[]`;
    return name.startsWith('parts')
      ? `create table ${name} (${columns}) partition by hash (id);
         ${Array.from({ length: PARTITIONED }, (__, part) => `create table ${name}_${part} partition of ${name} for values with (modulus ${PARTITIONED}, remainder ${part})`).join(';')}`
      : `create table ${name} (${columns}, primary key (id)); create index on ${name} (id, email)`;
  }).join(';');
}

onEachMajor('the number of queries', (major) => {
  const databases: { registry: Registry; database: TestDatabase }[] = [];

  beforeAll(async () => {
    for (const registry of [registryOf(100), registryOf(1_000)]) {
      const database = await serverOf(major).createDatabase();
      databases.push({ registry, database });
      await database.query(createTables(registry));
    }
  });
  afterAll(async () => {
    for (const { database } of databases) await database.drop();
  });

  /** For each registry. */
  async function queriesOf(): Promise<Record<'preflight' | 'plan' | 'report', number>[]> {
    const counts: Record<'preflight' | 'plan' | 'report', number>[] = [];
    for (const { registry, database } of databases)
      counts.push((await numberOfQueries(database, registry.entries)).counts);
    return counts;
  }

  test('is the same for 100 and 1,000 entries of which all are missing', async () => {
    const [hundred, thousand] = await queriesOf();

    expect(thousand).toEqual(hundred);
  });

  test('is the same for 100 and 1,000 entries of which all are present', async () => {
    for (const { registry, database } of databases) {
      await database.query(registry.entries.map(({ sql }) => sql.replace('concurrently', '')).join(';'));
    }

    const [hundred, thousand] = await queriesOf();

    expect(thousand).toEqual(hundred);
  });

  test('is the same for 100 and 1,000 entries of which all have drifted, and for as many invalid indexes', async () => {
    for (const { registry, database } of databases) {
      await database.query(
        registry.entries
          .map(
            ({ name }, at) =>
              `drop index ${name}; create index ${name} on ${tableOf(Math.floor(at / FORMS.length))} (id)`,
          )
          .join(';'),
      );
    }

    const [hundred, thousand] = await queriesOf();

    expect(thousand).toEqual(hundred);
    for (const { database } of databases) {
      await database.query(
        "update pg_index set indisvalid = false from pg_class c where c.oid = indexrelid and relname like 'idx%'",
      );
    }

    const [ofHundred, ofThousand] = await queriesOf();

    expect(ofThousand).toEqual(ofHundred);
  });
});
