import type { Query } from '../target.ts';
import { MIGRATIONS } from '../world/migrations.ts';
import { ACCOUNTS, STATIC_TABLES } from '../world/tables.ts';
import { type Violation, violationIf } from './violation.ts';

/** Count and checksum of the rows of each table that nobody writes to. */
export type Checksums = ReadonlyMap<string, string>;

export async function readChecksums(query: Query): Promise<Checksums> {
  const sums = new Map<string, string>();
  for (const [table, columns] of Object.entries(STATIC_TABLES)) {
    const [row] = await query<{ sum: string }>(
      `select count(*) || ' rows, sum ' || coalesce(sum(hashtextextended(row(${columns.join(', ')})::text, 0)), 0) as sum from ${table}`,
    );
    sums.set(table, row?.sum ?? '');
  }
  return sums;
}

/** The rows are as before, apart from what the writers and the migrations do. */
export async function checkRows(query: Query, before: Checksums): Promise<Violation[]> {
  const after = await readChecksums(query);
  const changed = [...before].flatMap(([table, was]) =>
    after.get(table) === was ? [] : [{ table, was, is: after.get(table) }],
  );
  return [
    ...violationIf('The rows of a table that nobody writes to do not change.', changed),
    ...violationIf(
      'Transfers between accounts keep the sum of the balances and the number of accounts.',
      await query(
        `select sum(balance) as sum, count(*) as accounts from accounts having sum(balance) <> $1 or count(*) <> $2`,
        [ACCOUNTS * 1000, ACCOUNTS],
      ),
    ),
    ...violationIf(
      'Each writer has as many events as it has counted.',
      await query(
        `select c.writer, c.events as counted, (select count(*) from events e where e.writer = c.writer) as events
           from counters c where c.events <> (select count(*) from events e where e.writer = c.writer)`,
      ),
    ),
    ...violationIf(
      'The totals of the materialized view are those of the table.',
      await query(
        'select count(*) as totals from item_totals having sum(orders) <> (select count(*) from orders)',
      ),
    ),
  ];
}

/** Each migration was applied exactly once, and is recorded exactly once. */
export async function checkMigrations(query: Query): Promise<Violation[]> {
  const names = Object.keys(MIGRATIONS);
  return violationIf(
    'Each migration is applied once and recorded once.',
    await query(
      `select name, (select count(*)::int from pgmigrations m where m.name = wanted.name) as recorded,
              (select count(*)::int from marks where label = 'done' and migration = wanted.name) as applied
         from unnest($1::text[]) as wanted (name)
        where (select count(*) from pgmigrations m where m.name = wanted.name) <> 1
           or (select count(*) from marks where label = 'done' and migration = wanted.name) <> 1
        union all
       select 'accounts.touched', min(touched), max(touched) from accounts having min(touched) <> 1 or max(touched) <> 1`,
      [names],
    ),
  );
}
